//! A Calimero node that never leaves the loopback interface.
//!
//! It puts together the published Calimero crates: no bootstrap peers, no discovery, no relay, no web pages,
//! no update check. `options::USAGE` says what it can be told.

mod options;

use std::collections::BTreeMap;
use std::fs::{create_dir_all, read_to_string, set_permissions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;
use std::time::Duration;

use calimero_blobstore::config::BlobStoreConfig as BlobDir;
use calimero_config as file;
use calimero_config::ConfigFile;
use calimero_context::config::ContextConfig;
use calimero_context_config::client_config::{ClientConfig, ClientSigner, LocalConfig};
use calimero_network_primitives::config as net;
use calimero_node::sync::SyncConfig;
use calimero_node::{start, NodeConfig, NodeMode, SpecializedNodeConfig};
use calimero_server::admin::service::AdminConfig;
use calimero_server::config::{AuthMode, ServerConfig};
use calimero_server::jsonrpc::JsonRpcConfig;
use calimero_server::sse::SseConfig;
use calimero_server::ws::WsConfig;
use calimero_store::config::StoreConfig;
use camino::{Utf8Path, Utf8PathBuf};
use eyre::{ensure, Result, WrapErr};
use libp2p::identity::Keypair;
use libp2p::Multiaddr;

use options::{Command, Init, Run, USAGE};

/// The release of every Calimero crate in `Cargo.toml`.
const CALIMERO: &str = "0.11.0-rc.4";

const LOOPBACK: &str = "/ip4/127.0.0.1/tcp/";

fn loopback(port: u16) -> Result<Multiaddr> {
    Ok(format!("{LOOPBACK}{port}").parse()?)
}

/// Refuses a hand-edited configuration that would open a port to the network.
fn check_loopback(addresses: &[Multiaddr]) -> Result<()> {
    ensure!(!addresses.is_empty(), "the configuration names no address to listen on");
    for address in addresses {
        ensure!(
            address.to_string().starts_with(LOOPBACK),
            "the configuration would listen on {address}: this node listens on 127.0.0.1 only"
        );
    }
    Ok(())
}

/// Where the database is, and the key it is encrypted with.
fn datastore(path: Utf8PathBuf, key_file: Option<&Utf8Path>) -> Result<StoreConfig> {
    let Some(file) = key_file else { return Ok(StoreConfig::new(path)) };
    let text =
        read_to_string(file).wrap_err_with(|| format!("the store key {file} is unreadable"))?;
    let hex = text.trim();
    ensure!(
        hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_hexdigit()),
        "the store key {file} is not 64 hex digits"
    );
    let key = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16))
        .collect::<Result<_, _>>()?;
    Ok(StoreConfig::with_encryption(path, key))
}

/// Makes a node, and returns the address that its peers give as `--peer`.
///
/// `config.toml` holds the node's private key: only its owner may read it.
async fn init(options: Init) -> Result<String> {
    let Init { home, http, p2p, peers, auth } = options;
    ensure!(!ConfigFile::exists(&home), "there is a node in {home} already");
    create_dir_all(&home).wrap_err_with(|| format!("{home} cannot be made"))?;
    set_permissions(&home, Permissions::from_mode(0o700))?;

    let keypair = Keypair::generate_ed25519();
    let address = format!("{LOOPBACK}{p2p}/p2p/{}", keypair.public().to_peer_id());
    let (auth_mode, embedded_auth) = match auth {
        true => (AuthMode::Embedded, Some(mero_auth::embedded::default_config())),
        false => (AuthMode::Proxy, None),
    };
    let config = ConfigFile::new(
        file::IdentityConfig { keypair },
        NodeMode::Standard,
        file::NetworkConfig::new(
            net::SwarmConfig::new(vec![loopback(p2p)?]),
            net::BootstrapConfig::new(net::BootstrapNodes::new(peers)),
            net::DiscoveryConfig::new(
                false,      // mDNS
                false,      // advertise observed addresses
                Vec::new(), // external addresses
                net::RendezvousConfig::new(0),
                net::RelayConfig::new(0),
                net::AutonatConfig::default(),
            ),
            file::ServerConfig::with_auth(
                vec![loopback(http)?],
                Some(AdminConfig::new(true)),
                Some(JsonRpcConfig::new(true)),
                Some(WsConfig::new(true)),
                Some(SseConfig::new(true)),
                auth_mode,
                embedded_auth,
            ),
        ),
        file::SyncConfig {
            timeout: Duration::from_secs(30),
            session_deadline: Duration::from_secs(30),
            interval: Duration::from_secs(5),
            frequency: Duration::from_secs(10),
        },
        file::DataStoreConfig::new("data".into()),
        file::BlobStoreConfig::new("blobs".into()),
        ContextConfig {
            client: ClientConfig {
                signer: ClientSigner { local: LocalConfig { protocols: BTreeMap::new() } },
            },
            migration_v2: true,
        },
    );
    config.save(&home).await?;
    set_permissions(home.join(file::CONFIG_FILE), Permissions::from_mode(0o600))?;
    Ok(address)
}

/// Runs a node until a signal ends the process.
///
/// There is no signal handling on purpose: returning from `main` while the node's threads still run makes
/// RocksDB abort in its static destructors.
async fn run(options: Run) -> Result<()> {
    let Run { home, peers, store_key } = options;
    ensure!(ConfigFile::exists(&home), "there is no node in {home}: make one with init");
    let mut config = ConfigFile::load(&home).await?;
    check_loopback(&config.network.swarm.listen)?;
    check_loopback(&config.network.server.listen)?;
    config.network.bootstrap.nodes.list.extend(peers);

    let keypair = config.identity.keypair;
    let web = config.network.server;
    let mut auth = web.embedded_auth;
    if let Some(auth) = &mut auth {
        let path = home.join("auth").into_std_path_buf();
        auth.storage = mero_auth::config::StorageConfig::RocksDB { path };
    }
    let node = NodeConfig {
        identity: keypair.clone(),
        network: net::NetworkConfig::new(
            keypair.clone(),
            config.network.swarm,
            config.network.bootstrap,
            config.network.discovery,
        ),
        sync: SyncConfig {
            timeout: config.sync.timeout,
            session_deadline: config.sync.session_deadline,
            interval: config.sync.interval,
            frequency: config.sync.frequency,
            ..SyncConfig::default()
        },
        datastore: datastore(home.join(config.datastore.path), store_key.as_deref())?,
        blobstore: BlobDir::new(home.join(config.blobstore.path)),
        context: config.context,
        server: ServerConfig::with_auth(
            web.listen,
            keypair,
            web.admin,
            web.jsonrpc,
            web.websocket,
            web.sse,
            web.auth_mode,
            auth,
        ),
        gc_interval_secs: None,
        dag_compaction: config.dag_compaction,
        mode: config.mode,
        specialized_node: SpecializedNodeConfig {
            invite_topic: config.network.specialized_node.invite_topic,
            accept_mock_tee: false,
        },
        vm_limits: config.runtime.vm_limits(),
        home,
    };
    start(node).await
}

/// What is never logged, whatever RUST_LOG asks for. Arguments of a call are logged at INFO, and at ERROR
/// when the request cannot be parsed; a guest's panic message may quote one; a failed login is logged with
/// a hash of the password.
const SILENT: &str = "calimero_server::jsonrpc=off,calimero_server::auth=off,mero_auth=off,\
    calimero_runtime=off,runtime=off,calimero_context::handlers::execute=off";

fn set_up_log() -> Result<()> {
    let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(format!("{wanted},{SILENT}"))
        .wrap_err("RUST_LOG is no log filter")?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}

async fn perform(command: Command) -> Result<()> {
    match command {
        Command::Help => println!("{USAGE}"),
        Command::Version => {
            println!("medsync-calimero-node {} (Calimero {CALIMERO})", env!("CARGO_PKG_VERSION"));
        }
        Command::Init(options) => println!("{}", init(options).await?),
        Command::Run(options) => {
            set_up_log()?;
            calimero_utils_actix::init_global_runtime()?;
            run(options).await?;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = match Command::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("medsync-calimero-node: {error:#}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match perform(command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("medsync-calimero-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}
