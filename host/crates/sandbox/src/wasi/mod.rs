//! What a guest can import, and what bounds each part of it.
//!
//! All of WASI's command world is linked, because toolchains import more than
//! a sink uses. A call to what is not granted fails. This is what the host holds
//! for a guest:
//!
//! | interface | held for a guest | bound |
//! |---|---|---|
//! | views of the batch (`views/`) | one, until the method returns | six times what the batch counts, and the instance's memory; twice that while it grows |
//! | any call | its arguments, until it returns | [`MAX_HOST_CALL`] |
//! | any resource: files, streams, timers, listings, errors | an entry of the table | [`MAX_HANDLES`], shared by the instances of a sink, but 64 for each |
//! | resources that the sink's own components define | a handle | wasmtime: 100,000 |
//! | `wasi:io/poll` | an index per entry of the list | [`MAX_HOST_CALL`] |
//! | `wasi:io/streams` of a file, to read | 64 KiB per stream | wasmtime-wasi |
//! | `wasi:io/streams` of a file, to write | one write of 64 KiB per stream | `file_output.rs`, `permitted_output.rs` |
//! | `wasi:filesystem`, `descriptor.read` | 64 KiB, until it returns | wasmtime-wasi |
//! | `wasi:filesystem`, `read-directory` | 8 KiB of entries per listing | `listing.rs` |
//! | `wasi:cli/stdout` | 1 MiB, however many streams | `stdout/buffer.rs` |
//! | `wasi:cli/stderr` | an unfinished line of 8 KiB | `stderr.rs` |
//! | `wasi:cli/stdin`, `wasi:cli/terminal-*` | nothing: they are empty | |
//! | `wasi:cli/environment` | a copy, until it returns | the size of a manifest |
//! | `wasi:cli/exit` | nothing: it traps | |
//! | `wasi:random` | the bytes, until it returns | [`MAX_RANDOM`] |
//! | `wasi:clocks` | a timer per handle | [`MAX_HANDLES`] |
//! | `wasi:http`, a request before it is sent | its path of 64 KiB, two parts of its body of 64 KiB, its trailers | the crate `http`; `http.rs` bounds its other texts; [`MAX_HANDLES`] |
//! | `wasi:http`, headers | 32 KiB per list of them | [`MAX_HEADERS`], [`MAX_HANDLES`] |
//! | `wasi:http`, requests under way | the part of 64 KiB that is being sent, two more, 64 KiB of the answer; over HTTP/2, 64 KiB more to send and 1 MiB of answers per connection | [`MAX_REQUESTS`] |
//! | `wasi:sockets`, TCP | one write of 64 KiB per connection | wasmtime-wasi |
//! | `wasi:tls`, before a handshake | the name of the server, of 253 bytes | `tls.rs`, [`MAX_HANDLES`] |
//! | `wasi:tls`, connections | to send: one write of 64 KiB, twice that encrypted; of what arrives: three reads of 64 KiB, a message of 64 KiB of the handshake, a record of 16 KiB | `tls.rs`, rustls, [`MAX_TLS`] |
//! | `wasi:sockets/ip-name-lookup` | 8 addresses per look-up, and 1024 that were found | `names.rs`, `network/guest_tcp.rs` |
//! | `wasi:sockets`, UDP | nothing: no socket is created | `names.rs` |

mod file_output;
mod http;
mod listing;
mod names;
mod permitted_output;
mod tls;

use wasmtime::component::Linker;
use wasmtime_wasi_tls::p2::LinkOptions;

use super::guest::Guest;
#[cfg(doc)]
use super::{
    guest::MAX_HEADERS,
    limits::{MAX_HANDLES, MAX_HOST_CALL, MAX_RANDOM},
    network::{MAX_REQUESTS, MAX_TLS},
};

/// The interfaces with functions that are replaced, in the version that
/// wasmtime-wasi links; another would be a second interface.
const FILESYSTEM: &str = "wasi:filesystem/types@0.2.12";
const NAMES: &str = "wasi:sockets/ip-name-lookup@0.2.12";
const UDP: &str = "wasi:sockets/udp-create-socket@0.2.12";
const HTTP: &str = "wasi:http/types@0.2.12";
const HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";
/// A draft, so that components import exactly this version.
const TLS: &str = "wasi:tls/types@0.2.0-draft";

/// Links WASI. The functions of wasmtime-wasi that hold as much as a guest
/// likes are replaced.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    wasmtime_wasi_tls::p2::add_to_linker(linker, LinkOptions::default().tls(true))?;
    linker.allow_shadowing(true);
    let mut filesystem = linker.instance(FILESYSTEM)?;
    listing::add_to_linker(&mut filesystem)?;
    file_output::add_to_linker(&mut filesystem)?;
    names::add_to_linker(&mut linker.instance(NAMES)?)?;
    names::refuse_udp(&mut linker.instance(UDP)?)?;
    http::bound_requests(&mut linker.instance(HTTP)?)?;
    http::add_handler(&mut linker.instance(HANDLER)?)?;
    tls::add_to_linker(&mut linker.instance(TLS)?)?;
    linker.allow_shadowing(false);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_is_what_wasmtime_wasi_links() {
        let mut linker = Linker::new(&wasmtime::Engine::default());
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        let mut filesystem = linker.instance(FILESYSTEM).unwrap();
        // Without leave to replace, a second definition is refused.
        assert!(listing::add_to_linker(&mut filesystem).is_err());
        assert!(file_output::add_to_linker(&mut filesystem).is_err());
        assert!(names::add_to_linker(&mut linker.instance(NAMES).unwrap()).is_err());
        assert!(names::refuse_udp(&mut linker.instance(UDP).unwrap()).is_err());
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
        assert!(http::bound_requests(&mut linker.instance(HTTP).unwrap()).is_err());
        assert!(http::add_handler(&mut linker.instance(HANDLER).unwrap()).is_err());
        let options = LinkOptions::default().tls(true).clone();
        wasmtime_wasi_tls::p2::add_to_linker(&mut linker, &options).unwrap();
        assert!(tls::add_to_linker(&mut linker.instance(TLS).unwrap()).is_err());
    }
}
