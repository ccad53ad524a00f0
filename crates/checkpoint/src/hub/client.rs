//! The Hub over HTTP: a model's list of files, and files into the cache.

use super::{
    Hub, Progress,
    name::{Name, is_hash},
};
use crate::Error;
use serde::Deserialize;
use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use ureq::{
    Agent, Body,
    config::RedirectAuthHeaders,
    http::Response,
    tls::{RootCerts, TlsConfig},
};

/// No list of files is longer.
const LONGEST_LISTING: u64 = 1 << 26;
/// Progress is told after so many bytes.
const STEP: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// Why nothing was fetched.
pub(super) enum Failure {
    /// The Hub can't be reached: the cache may do.
    Unreached(String),
    /// Nothing else will do.
    Refused(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Refused(error)
    }
}

/// A file of a model on the Hub.
pub(super) struct RemoteFile {
    pub(super) name: String,
    size: u64,
    /// The hash by which the cache knows its contents.
    hash: String,
}

/// The files of a model at a commit.
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: Vec<RemoteFile>,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Large>,
}

#[derive(Deserialize)]
struct Large {
    sha256: String,
}

/// A connection for one model.
pub(super) struct Client<'a> {
    hub: &'a Hub<'a>,
    name: &'a Name,
    agent: Agent,
}

impl<'a> Client<'a> {
    pub(super) fn new(hub: &'a Hub<'a>, name: &'a Name) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("saltus/", env!("CARGO_PKG_VERSION")))
            // The token goes to the Hub, never to the store that it sends us on to.
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .build();
        Client { hub, name, agent: config.into() }
    }

    /// The model's files.
    pub(super) fn listing(&self) -> Result<Listing, Failure> {
        let Name { organisation, model, revision } = self.name;
        let revision = revision.replace('/', "%2F");
        let path = format!("api/models/{organisation}/{model}/revision/{revision}?blobs=true");
        let mut answer = self.get(&path, 0)?;
        let reader = answer.body_mut().with_config().limit(LONGEST_LISTING).reader();
        let Answer { sha, siblings } = serde_json::from_reader(std::io::BufReader::new(reader))
            .map_err(|e| self.refused("the model", format!("expected its list of files, found {e}")))?;
        if !is_hash(&sha, 40) {
            return Err(self.refused("the model", format!("expected a commit's hash, found `{sha}`")));
        }
        let files = siblings.into_iter().filter_map(|sibling| {
            let hash = sibling.lfs.map(|large| large.sha256).or(sibling.blob_id)?;
            let known = is_hash(&hash, 40) || is_hash(&hash, 64);
            known.then_some(RemoteFile { name: sibling.rfilename, size: sibling.size?, hash })
        });
        Ok(Listing { commit: sha, files: files.collect() })
    }

    /// A file into the cache's `blobs`, and its name into the snapshot's folder.
    pub(super) fn fetch(
        &self,
        commit: &str,
        file: &RemoteFile,
        repository: &Path,
        snapshot: &Path,
    ) -> Result<(), Failure> {
        let (blobs, place) = (repository.join("blobs"), snapshot.join(&file.name));
        let blob = blobs.join(&file.hash);
        let whole = |path: &Path| path.metadata().is_ok_and(|metadata| metadata.len() == file.size);
        if whole(&place) {
            return Ok(());
        }
        for folder in [&blobs, &snapshot.to_owned()] {
            fs::create_dir_all(folder).map_err(writing(folder))?;
        }
        if !whole(&blob) {
            self.download(commit, file, &blob)?;
        }
        link(&blob, &place, &file.hash).map_err(writing(&place))?;
        Ok(())
    }

    /// Downloads beside the place and renames; goes on where an interrupted download ended. A second process that wants
    /// the same file waits for the first.
    fn download(&self, commit: &str, file: &RemoteFile, blob: &Path) -> Result<(), Failure> {
        let part = blob.with_extension("incomplete");
        let mut output = File::options().append(true).create(true).open(&part).map_err(writing(&part))?;
        output.lock().map_err(writing(&part))?;
        if blob.exists() {
            return Ok(());
        }
        let mut done = output.metadata().map_err(writing(&part))?.len();
        if done > file.size {
            output.set_len(0).map_err(writing(&part))?;
            done = 0;
        }
        let Name { organisation, model, .. } = self.name;
        if done < file.size || file.size == 0 {
            let mut answer = self.get(&format!("{organisation}/{model}/resolve/{commit}/{}", file.name), done)?;
            if done > 0 && answer.status() != 206 {
                output.set_len(0).map_err(writing(&part))?;
                done = 0;
            }
            // One byte more than expected is enough to see that there are too many.
            let body = answer.body_mut().with_config().limit(u64::MAX).reader().take(file.size - done + 1);
            done = self.copy(file, body, &mut output, done)?;
        }
        if done != file.size {
            let problem = format!("expected {} bytes, found {done}", file.size);
            return Err(self.refused(&format!("file {}", file.name), problem));
        }
        output.sync_all().map_err(writing(&part))?;
        fs::rename(&part, blob).map_err(writing(blob))?;
        Ok(())
    }

    fn copy(&self, file: &RemoteFile, mut body: impl Read, output: &mut File, mut done: u64) -> Result<u64, Failure> {
        let mut buffer = vec![0; STEP];
        loop {
            (self.hub.progress)(Progress { file: &file.name, done, total: file.size });
            let mut filled = 0;
            while filled < buffer.len() {
                match body.read(&mut buffer[filled..]) {
                    Ok(0) => break,
                    Ok(read) => filled += read,
                    Err(e) => {
                        // What has come is kept: the next attempt goes on from there.
                        output.write_all(&buffer[..filled]).map_err(writing(&self.hub.cache))?;
                        return Err(Failure::Unreached(format!("the download of {} broke off ({e})", file.name)));
                    }
                }
            }
            output.write_all(&buffer[..filled]).map_err(writing(&self.hub.cache))?;
            done += filled as u64;
            if filled < buffer.len() {
                (self.hub.progress)(Progress { file: &file.name, done, total: file.size });
                return Ok(done);
            }
        }
    }

    /// Asks for a path, from byte `from` on.
    fn get(&self, path: &str, from: u64) -> Result<Response<Body>, Failure> {
        let url = format!("{}/{path}", self.hub.endpoint.trim_end_matches('/'));
        let mut request = self.agent.get(&url);
        if let Some(token) = &self.hub.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        request.call().map_err(|error| match error {
            ureq::Error::StatusCode(401 | 403) => self.forbidden(),
            ureq::Error::StatusCode(404) => {
                self.refused("the model", "expected it on the Hub, found no such one".into())
            }
            other => Failure::Unreached(format!("{} can't be reached ({other})", self.hub.endpoint)),
        })
    }

    fn forbidden(&self) -> Failure {
        let problem = "expected leave to read it, found none (or no such model)";
        let remedy = format!(
            "check the name; accept its terms at {}/{}/{}, make a token there, and set HF_TOKEN to it",
            self.hub.endpoint, self.name.organisation, self.name.model
        );
        Failure::Refused(Error::new(self.name.to_string(), problem, remedy))
    }

    fn refused(&self, part: &str, problem: String) -> Failure {
        let remedy = "check the name and the revision; try again later";
        Failure::Refused(Error::new(format!("{}, {part}", self.name), problem, remedy))
    }
}

/// The revision's commit, as the cache keeps it.
pub(super) fn write_ref(repository: &Path, name: &Name, commit: &str) -> Result<(), Failure> {
    if name.is_commit() {
        return Ok(());
    }
    let path = repository.join("refs").join(&name.revision);
    let folder = path.parent().unwrap_or(repository);
    fs::create_dir_all(folder).and_then(|()| fs::write(&path, commit)).map_err(writing(&path))?;
    Ok(())
}

/// The snapshot's name for a blob: a relative link; where there are no links, the file itself.
fn link(blob: &Path, place: &Path, hash: &str) -> std::io::Result<()> {
    if place.symlink_metadata().is_ok() {
        fs::remove_file(place)?;
    }
    #[cfg(unix)]
    {
        let _ = blob;
        std::os::unix::fs::symlink(PathBuf::from("../../blobs").join(hash), place)
    }
    #[cfg(not(unix))]
    {
        let _ = hash;
        fs::rename(blob, place)
    }
}

fn writing(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |e| {
        Error::file(
            path,
            format!("cannot write it ({e})"),
            "check the folder's permissions and the free space on its disk",
        )
    }
}
