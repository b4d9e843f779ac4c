//! The HTTP face of `fusebox serve`, asked by a client over a socket.

mod calls;
pub(crate) mod client;
mod ends;
