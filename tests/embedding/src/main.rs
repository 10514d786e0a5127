//! A program that embeds the node, as a stranger would write it: what its Cargo.toml says about the
//! library is one line, and it uses what the library promises alone.

use std::env::temp_dir;
use std::error::Error;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use stream_manager::LiveNode;
use stream_manager::config::Config;

fn main() -> Result<(), Box<dyn Error>> {
    let port = free_port()?;
    let data = temp_dir().join(format!("embedding-{}", std::process::id()));
    let text = format!(
        "[node]\ndata_dir = {data:?}\n[rtmp]\nbind = \"127.0.0.1\"\nport = {port}\n\
         [http]\nenabled = false\n"
    );
    let mut node = LiveNode::start(&Config::parse(&text, "embedding.toml")?)?;
    let mut peer = TcpStream::connect(("127.0.0.1", port))?;
    node.stop();
    peer.set_read_timeout(Some(Duration::from_secs(5)))?;
    // A node that is gone has closed its connections.
    let end = peer.read(&mut [0; 1]);
    std::fs::remove_dir_all(data)?;
    match end {
        Ok(0) => Ok(()),
        other => Err(format!("the connection is still open: {other:?}").into()),
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_program_of_ones_own_starts_a_node_and_stops_it() {
        super::main().unwrap();
    }
}
