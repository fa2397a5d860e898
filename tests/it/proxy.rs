//! A proxy that fails on purpose: between a client and the server, or the server and its database.
//!
//! Each direction is told by itself what to do, also while connections are open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, watch};

/// What happens to the bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// They are handed on.
    Open,
    /// They are not read, so they pile up at their sender.
    Stopped,
    /// They are read and forgotten, and so is the end of the connection: the peer is gone, and nobody
    /// says so.
    Lost,
    /// They are handed on after a while.
    Slow(Duration),
    /// They are gathered, and handed on together once none has come for as long.
    Held(Duration),
    /// As many of a connection are handed on; where the next one comes, the connection ends.
    First(usize),
}

/// What happens to both.
#[derive(Debug, Clone, Copy)]
struct Ways {
    up: Way,
    down: Way,
    cut: bool,
}

/// A running proxy.
pub struct Proxy {
    pub address: SocketAddr,
    ways: watch::Sender<Ways>,
    hung_up: Arc<Notify>,
}

impl Proxy {
    /// A proxy to this address that does nothing wrong yet.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ways = watch::Sender::new(Ways {
            up: Way::Open,
            down: Way::Open,
            cut: false,
        });
        let hung_up = Arc::new(Notify::new());
        let (told, gone) = (ways.clone(), Arc::clone(&hung_up));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if told.borrow().cut {
                    continue;
                }
                // Little is kept on the way: what is not read is seen by its sender at once.
                let socket = TcpSocket::new_v4().unwrap();
                socket.set_recv_buffer_size(4096).unwrap();
                let Ok(far) = socket.connect(target).await else {
                    continue;
                };
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                let up = pump(near_in, far_out, told.subscribe(), |ways| ways.up);
                let refused = Arc::clone(&gone);
                let down = pump(far_in, near_out, told.subscribe(), |ways| ways.down);
                tokio::spawn(async move {
                    if let Ended::Refused = up.await {
                        refused.notify_one();
                    }
                });
                let gone = Arc::clone(&gone);
                tokio::spawn(async move {
                    if let Ended::Secretly(to) = down.await {
                        gone.notify_one();
                        let () = std::future::pending().await;
                        drop(to);
                    }
                    gone.notify_one();
                });
            }
        });
        Self {
            address,
            ways,
            hung_up,
        }
    }

    /// What goes to the target.
    pub fn up(&self, way: Way) {
        self.ways.send_modify(|ways| ways.up = way);
    }

    /// What comes from it.
    pub fn down(&self, way: Way) {
        self.ways.send_modify(|ways| ways.down = way);
    }

    /// Ends every connection, and every new one, or no longer.
    pub fn cut(&self, cut: bool) {
        self.ways.send_modify(|ways| ways.cut = cut);
    }

    /// Waits until the target has ended a connection. While nothing is read from it, that shows only
    /// when something is written to it.
    pub async fn hung_up(&self) {
        self.hung_up.notified().await;
    }
}

/// How a direction ended.
enum Ended {
    /// Its sender ended, and its receiver was told.
    Openly,
    /// Its sender ended. The receiver hears of it when this is dropped.
    Secretly(OwnedWriteHalf),
    /// Its receiver takes nothing any more.
    Refused,
}

/// Moves the bytes of one direction until its sender ends.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut ways: watch::Receiver<Ways>,
    pick: fn(&Ways) -> Way,
) -> Ended {
    let mut bytes = vec![0; 16 * 1024];
    let mut passed = 0;
    loop {
        let now = *ways.borrow_and_update();
        if now.cut {
            return Ended::Openly;
        }
        let mut read = tokio::select! {
            changed = ways.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return Ended::Openly,
            },
            read = from.read(&mut bytes), if pick(&now) != Way::Stopped => read.unwrap_or(0),
        };
        match pick(&now) {
            Way::Lost if read == 0 => return Ended::Secretly(to),
            Way::Lost => continue,
            Way::Slow(pause) => tokio::time::sleep(pause).await,
            Way::Held(quiet) => {
                while let Ok(Ok(more @ 1..)) =
                    tokio::time::timeout(quiet, from.read(&mut bytes[read..])).await
                {
                    read += more;
                }
            }
            Way::First(most) if passed + read > most => {
                let _ = to.write_all(&bytes[..most - passed]).await;
                return Ended::Openly;
            }
            Way::Open | Way::Stopped | Way::First(_) => {}
        }
        if read == 0 {
            let _ = to.shutdown().await;
            return Ended::Openly;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return Ended::Refused;
        }
        passed += read;
    }
}
