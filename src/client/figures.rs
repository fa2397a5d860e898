//! Reads the figures of a server.
//!
//! Owns [`FiguresAt`]. Used by `deepme top`. Invariants: a page has a size and a time that it may take; it comes from
//! where it was asked for, by no proxy and no redirect; a page of something else is not taken for one of deepme.

use super::{ClientError, Result, address, built, network};
use crate::wire::exposition::Exposition;
use reqwest::Url;
use std::time::Duration;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of a page.
const MOST: usize = 512 * 1024;
/// What every page of deepme has.
const OURS: &str = "deepme_build_info";

/// Where the figures of a server are.
#[derive(Debug, Clone)]
pub struct FiguresAt {
    url: Url,
    http: reqwest::Client,
}

impl FiguresAt {
    /// The page at `url`; without a path it is `/metrics`.
    pub fn new(url: &str) -> Result<Self> {
        let mut url = address(url)?;
        if url.path() == "/" {
            url.set_path("/metrics");
        }
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        let http = built(http)?;
        Ok(Self { url, http })
    }

    /// Where they are.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The figures as they are now.
    pub async fn read(&self) -> Result<Exposition> {
        let request = self.http.get(self.url.clone());
        let mut response = request.send().await.map_err(network)?;
        if !response.status().is_success() {
            return Err(ClientError::Status(response.status().as_u16()));
        }
        let mut page = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(network)? {
            page.extend_from_slice(&chunk);
            if page.len() > MOST {
                let what = "a page that is too long for figures";
                return Err(ClientError::Unexpected(what.to_owned()));
            }
        }
        let page = String::from_utf8(page).unwrap_or_default();
        let read = Exposition::parse(&page)
            .map_err(|e| ClientError::Unexpected(format!("this is no page of figures: {e}")))?;
        if !read.has(OURS) {
            let what = "these are no figures of deepme";
            return Err(ClientError::Unexpected(what.to_owned()));
        }
        Ok(read)
    }
}
