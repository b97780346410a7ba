//! `atelier local`: a coordinator and its nodes on this machine, until Ctrl-C.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::exit::Exit;
use crate::local::{Atelier, LocalConfig, LocalError};
use crate::printer::{Printer, Tone};
use crate::text::counted;

/// Where the client looks for a coordinator that nobody named.
const DEFAULT_LISTEN: &str = "127.0.0.1:7878";

/// `atelier local`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier local  # until Ctrl-C
  atelier local --data /mnt/atelier --nodes 2 --weights vgg19.safetensors

Prints the URL of the coordinator. Grids and galleries stay in the data folder from one time to the next.")]
pub struct LocalArgs {
    /// Folder for the database, pictures and logs [default: atelier in the user's folder for data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// How many nodes render; one is best on one processor or one GPU
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub nodes: u32,
    /// Address of the coordinator
    #[arg(long, default_value = DEFAULT_LISTEN, value_name = "ADDRESS")]
    pub listen: String,
    /// Address of its S3 endpoint
    #[arg(long, default_value = "127.0.0.1:7879", value_name = "ADDRESS")]
    pub s3_listen: String,
    /// Address of its board, for browsers
    #[arg(long, default_value = "127.0.0.1:7880", value_name = "ADDRESS")]
    pub board_listen: String,
    /// Which network paints: a file (safetensors or Keras .h5), `untrained`, or `auto`: fetched ones if they are
    /// there or can be had quickly, else untrained
    #[arg(
        long,
        env = "ATELIER_WEIGHTS",
        default_value = "auto",
        value_name = "FILE|untrained|auto"
    )]
    pub weights: String,
    /// What renders: `auto` takes a GPU where there is one
    #[arg(
        long,
        env = "ATELIER_DEVICE",
        default_value = "auto",
        value_name = "auto|cpu|cuda:N"
    )]
    pub device: String,
}

#[derive(Serialize)]
struct Opened<'a> {
    coordinator: &'a str,
    s3: &'a str,
    board: &'a str,
    nodes: u32,
    data: String,
}

/// Opens an atelier, says where it is, and closes it when asked to.
pub async fn run(
    printer: Printer,
    shutdown: CancellationToken,
    args: LocalArgs,
) -> Result<Exit, Error> {
    let is_default = args.listen == DEFAULT_LISTEN;
    let data = match args.data {
        Some(folder) => folder,
        None => dirs::data_dir()
            .ok_or(LocalError::NoDataFolder)?
            .join("atelier"),
    };
    let config = LocalConfig {
        data,
        listen: args.listen,
        s3_listen: args.s3_listen,
        board_listen: args.board_listen,
        nodes: args.nodes,
        weights: args.weights,
        device: args.device,
    };
    let Some(mut atelier) = Atelier::start(config, &shutdown).await? else {
        return Ok(Exit::Ok);
    };
    let told = tell(&printer, &atelier, args.nodes, is_default);
    let ended = match told {
        Ok(()) => shutdown
            .run_until_cancelled(atelier.supervise(&printer))
            .await
            .map_or(Ok(()), |error| Err(error.into())),
        Err(error) => Err(error),
    };
    if ended.is_ok() {
        printer.say("closing: nodes give back what they hold; Ctrl-C again does not wait for them");
    }
    atelier.stop().await;
    ended.map(|()| Exit::Ok)
}

fn tell(printer: &Printer, atelier: &Atelier, nodes: u32, is_default: bool) -> Result<(), Error> {
    let url = atelier.url();
    if printer.json_wanted() {
        printer.json(&Opened {
            coordinator: url,
            s3: atelier.s3_url(),
            board: atelier.board_url(),
            nodes,
            data: atelier.data().to_string_lossy().into_owned(),
        })?;
    } else {
        printer.data(url)?;
    }
    let coordinator = if is_default {
        String::new()
    } else {
        format!("--coordinator {url} ")
    };
    printer.say(&format!(
        "an atelier with {} is open; its data and logs are in {}",
        counted(nodes as usize, "node"),
        atelier.data().display()
    ));
    printer.say(&format!(
        "see how it gets on in a browser, and submit there by drag and drop: {}",
        atelier.board_url_to_act()
    ));
    printer.say("submit a grid from another terminal; Ctrl-C here closes the atelier:");
    let submit =
        format!("  atelier {coordinator}submit --photos 'photos/*.jpg' --artists artists/ --wait");
    printer.say(&printer.tint(Tone::Bold, &submit));
    Ok(())
}
