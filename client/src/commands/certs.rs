//! `atelier certs …`: a private authority, and what it issues.

mod told;

use std::path::PathBuf;

use atelier_proto::clock::Clock;
use atelier_proto::holder::{Holder, Role};
use clap::{Args, Subcommand};

use crate::certs::{Authority, HostName};
use crate::error::Error;
use crate::exit::Exit;
use crate::printer::Printer;

/// Days for which an authority is valid, and what it issues.
const AUTHORITY_DAYS: u32 = 3650;
const DAYS: u32 = 365;
const FOLDER: &str = "atelier-certs";

/// What is done with certificates.
#[derive(Debug, Subcommand)]
pub enum CertsCommand {
    /// Make a private authority in a folder: it vouches for coordinators, nodes and people
    Init(InitArgs),
    /// Make the certificate of a coordinator
    Server(ServerArgs),
    /// Make the certificate of a node
    Node(NodeArgs),
    /// Make the certificate of a person or a program
    Client(ClientArgs),
    /// List what was issued, oldest first
    List(ListArgs),
    /// Revoke a certificate that was lost or is of no more use
    Revoke(RevokeArgs),
}

/// `atelier certs init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier certs init
  atelier certs init --dir /srv/atelier/certs

ca.pem is for everybody, crl.pem for coordinators. Whoever has ca-key.pem can be anybody: keep the folder where people who \
run coordinators can read it, and nobody else.")]
pub struct InitArgs {
    /// Folder of the authority; it is made if it is not there
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    pub dir: PathBuf,
    /// Days for which the authority is valid
    #[arg(long, default_value_t = AUTHORITY_DAYS, value_name = "COUNT", value_parser = days())]
    pub days: u32,
    /// Put it in the place of the one that is there
    #[arg(long)]
    pub force: bool,
}

/// How a certificate is made.
#[derive(Debug, Args)]
pub struct IssueArgs {
    /// Folder of the authority, and of what it makes
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    pub dir: PathBuf,
    /// Days for which the certificate is valid, and no longer than the authority
    #[arg(long, default_value_t = DAYS, value_name = "COUNT", value_parser = days())]
    pub days: u32,
    /// Put it in the place of the one that is there, which stays valid until it expires or is revoked
    #[arg(long)]
    pub force: bool,
}

/// `atelier certs server`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier certs server studio.lan 10.0.0.7 localhost 127.0.0.1

A coordinator takes a new certificate up without a restart.")]
pub struct ServerArgs {
    /// Host names and addresses by which clients and nodes call it; *.example.com stands for every host of a domain
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<HostName>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub issue: IssueArgs,
}

/// `atelier certs node`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier certs node studio-1
  atelier certs node farm --days 90

Nodes may share a certificate; then they share its name, and are revoked together.")]
pub struct NodeArgs {
    /// What it is called: 1 to 64 of letters, digits, `.`, `_` and `-`
    #[arg(value_name = "NAME")]
    pub name: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub issue: IssueArgs,
}

/// `atelier certs client`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier certs client ann
  atelier certs client prometheus --role read-only")]
pub struct ClientArgs {
    /// What it is called: 1 to 64 of letters, digits, `.`, `_` and `-`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it may do: a client submits grids and sees its own, an operator sees and touches everything, read-only sees
    /// everything
    #[arg(long, default_value = "client", value_name = "client|operator|read-only", value_parser = role)]
    pub role: Role,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub issue: IssueArgs,
}

/// `atelier certs list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier certs list
  atelier certs list --json | jq '.[] | select(.standing == \"valid\")'")]
pub struct ListArgs {
    /// Folder of the authority
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    pub dir: PathBuf,
}

/// `atelier certs revoke`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier certs revoke ann
  atelier certs revoke 5f0c2b1d9a7e4c3f8b6a1d2e3f405162

It writes crl.pem anew. Coordinators that are told of it with --client-crl take it up within seconds.")]
pub struct RevokeArgs {
    /// The name, for all of its certificates, or one's serial number
    #[arg(value_name = "NAME|SERIAL")]
    pub name: String,
    /// Folder of the authority
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    pub dir: PathBuf,
}

fn days() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=36_500)
}

fn role(text: &str) -> Result<Role, String> {
    match text.parse() {
        Ok(Role::Node) => Err("for a node there is `atelier certs node`".to_owned()),
        Ok(role) => Ok(role),
        Err(_) => Err("it must be client, operator or read-only".to_owned()),
    }
}

/// Does it.
pub fn run(printer: &Printer, command: CertsCommand) -> Result<Exit, Error> {
    let clock = Clock::system();
    match command {
        CertsCommand::Init(args) => {
            let made = Authority::make(&args.dir, args.days, args.force, clock)?;
            told::made_authority(printer, &made, &args.dir)?;
        }
        CertsCommand::Server(ServerArgs { names, issue }) => {
            let authority = Authority::open(&issue.dir, clock)?;
            let made = authority.server(&names, issue.days, issue.force)?;
            told::made_server(printer, &authority, &made, &names)?;
        }
        CertsCommand::Node(NodeArgs { name, issue }) => {
            issue_to(printer, Role::Node, &name, &issue, clock)?;
        }
        CertsCommand::Client(ClientArgs { name, role, issue }) => {
            issue_to(printer, role, &name, &issue, clock)?;
        }
        CertsCommand::List(args) => {
            let authority = Authority::open(&args.dir, clock.clone())?;
            told::list(printer, &authority.issued()?, clock.now())?;
        }
        CertsCommand::Revoke(args) => {
            let authority = Authority::open(&args.dir, clock)?;
            let revoked = authority.revoke(&args.name)?;
            told::revoked(printer, &authority, &revoked)?;
        }
    }
    Ok(Exit::Ok)
}

fn issue_to(
    printer: &Printer,
    role: Role,
    name: &str,
    issue: &IssueArgs,
    clock: Clock,
) -> Result<(), Error> {
    let holder = Holder::new(role, name).map_err(crate::certs::CertsError::from)?;
    let authority = Authority::open(&issue.dir, clock)?;
    let made = authority.client(&holder, issue.days, issue.force)?;
    told::made_client(printer, &authority, &made, role)
}
