//! An address or a network in the configuration.
//!
//! Owns [`Network`]. Invariant: an IPv4 address that came in an IPv6 coat is the IPv4 address.

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::net::IpAddr;
use std::str::FromStr;

/// One address (`127.0.0.1`) or all of a network (`10.0.0.0/8`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Whether the address is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let one = text.parse::<IpAddr>().map(|address| address.to_canonical());
        one.map(IpNet::from)
            .or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| ())
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|()| {
            de::Error::custom(
                "expected an address such as 127.0.0.1, or a network such as 10.0.0.0/8",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_of_one() {
        let holds = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.contains(address.parse().unwrap())
        };
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("10.0.0.0/8", "10.9.8.7") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("127.0.0.1", "::ffff:127.0.0.1") && holds("::ffff:127.0.0.1", "127.0.0.1"));
        assert!(holds("fd00::/8", "fd12::1") && !holds("::1", "::2"));
        for wrong in ["", "localhost", "10.0.0.0/33", "10.0.0/8"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
