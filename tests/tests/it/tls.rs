//! Goal: client and node reach a coordinator by TLS where they trust who issued the certificate, and nowhere else; and it
//! lets those be who they say that have a certificate of its authority.

mod client_certificates;
mod grid;
mod handshakes;
mod identity;
mod reload;
mod server_certificates;
mod studio;
