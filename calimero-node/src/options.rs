//! The command line.

use camino::Utf8PathBuf;
use eyre::{bail, eyre, Result, WrapErr};
use libp2p::Multiaddr;

pub const USAGE: &str = "\
A Calimero node that listens on the loopback interface only.

    medsync-calimero-node init --home DIR --http PORT --p2p PORT [--peer ADDRESS]... [--auth]
    medsync-calimero-node run  --home DIR [--peer ADDRESS]... [--store-key FILE]
    medsync-calimero-node --version

init  makes a node in DIR and prints the address that other nodes give as --peer
run   runs it until a signal ends it
      --http PORT       port of the HTTP interface
      --p2p PORT        port for other nodes
      --peer ADDRESS    another node: /ip4/127.0.0.1/tcp/PORT/p2p/ID; let each of two know the other
      --auth            ask for a login; the first one makes the only user, so log in at once
      --store-key FILE  64 hex digits; the database is encrypted with them, blobs are not";

/// What is to be done.
pub enum Command {
    Help,
    Version,
    Init(Init),
    Run(Run),
}

pub struct Init {
    pub home: Utf8PathBuf,
    pub http: u16,
    pub p2p: u16,
    pub peers: Vec<Multiaddr>,
    pub auth: bool,
}

pub struct Run {
    pub home: Utf8PathBuf,
    pub peers: Vec<Multiaddr>,
    pub store_key: Option<Utf8PathBuf>,
}

impl Command {
    /// Reads the arguments after the program's name.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        match arguments.next().as_deref() {
            Some("init") => parse_init(arguments).map(Self::Init),
            Some("run") => parse_run(arguments).map(Self::Run),
            Some("--version" | "-V") => Ok(Self::Version),
            Some("--help" | "-h") => Ok(Self::Help),
            Some(other) => bail!("there is no command {other}"),
            None => bail!("a command is missing"),
        }
    }
}

fn parse_init(mut arguments: impl Iterator<Item = String>) -> Result<Init> {
    let (mut home, mut http, mut p2p, mut peers, mut auth) = (None, None, None, Vec::new(), false);
    while let Some(option) = arguments.next() {
        match option.as_str() {
            "--home" => home = Some(value(&option, &mut arguments)?.into()),
            "--http" => http = Some(port(&option, &mut arguments)?),
            "--p2p" => p2p = Some(port(&option, &mut arguments)?),
            "--peer" => peers.push(peer(&option, &mut arguments)?),
            "--auth" => auth = true,
            _ => bail!("init has no option {option}"),
        }
    }
    Ok(Init {
        home: home.ok_or_else(|| eyre!("init needs --home"))?,
        http: http.ok_or_else(|| eyre!("init needs --http"))?,
        p2p: p2p.ok_or_else(|| eyre!("init needs --p2p"))?,
        peers,
        auth,
    })
}

fn parse_run(mut arguments: impl Iterator<Item = String>) -> Result<Run> {
    let (mut home, mut peers, mut store_key) = (None, Vec::new(), None);
    while let Some(option) = arguments.next() {
        match option.as_str() {
            "--home" => home = Some(value(&option, &mut arguments)?.into()),
            "--peer" => peers.push(peer(&option, &mut arguments)?),
            "--store-key" => store_key = Some(value(&option, &mut arguments)?.into()),
            _ => bail!("run has no option {option}"),
        }
    }
    Ok(Run { home: home.ok_or_else(|| eyre!("run needs --home"))?, peers, store_key })
}

fn value(option: &str, arguments: &mut impl Iterator<Item = String>) -> Result<String> {
    arguments.next().ok_or_else(|| eyre!("{option} needs a value"))
}

fn port(option: &str, arguments: &mut impl Iterator<Item = String>) -> Result<u16> {
    match value(option, arguments)?.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => bail!("{option} takes a port: a number from 1 to 65535"),
    }
}

fn peer(option: &str, arguments: &mut impl Iterator<Item = String>) -> Result<Multiaddr> {
    value(option, arguments)?.parse().wrap_err_with(|| format!("{option} takes a peer's address"))
}
