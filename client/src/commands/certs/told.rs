//! What is said of certificates: what was made, and the command lines that come next.

use std::path::Path;

use atelier_proto::holder::Role;
use jiff::Timestamp;
use serde::Serialize;

use crate::certs::{Authority, Entry, HostName, Kind, Made, Standing};
use crate::error::Error;
use crate::printer::Printer;
use crate::table::plain_table;
use crate::text::{printable, shortened};

/// A certificate, as `--json` has it.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    standing: Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Path>,
}

pub(super) fn made_authority(
    printer: &Printer,
    made: &Authority,
    folder: &Path,
) -> Result<(), Error> {
    let certificate = made.certificate();
    if printer.json_wanted() {
        let lists = made.revocation_list();
        printer.json(&serde_json::json!({ "ca": certificate, "crl": lists }))?;
    } else {
        printer.data(&certificate.display().to_string())?;
    }
    let dir = in_folder(folder);
    printer.say(&format!(
        "made an authority in {}: ca.pem is for everybody, ca-key.pem for nobody else\n\
         next: atelier certs server HOST{dir}    # the names by which a coordinator is called\n      \
         atelier certs node NAME{dir}\n      \
         atelier certs client NAME{dir}",
        folder.display()
    ));
    Ok(())
}

pub(super) fn made_server(
    printer: &Printer,
    authority: &Authority,
    made: &Made,
    names: &[HostName],
) -> Result<(), Error> {
    tell(printer, made)?;
    let host = names.first().map(HostName::in_url).unwrap_or_default();
    printer.say(&format!(
        "start the coordinator with:\n  \
         atelier-coordinator --listen 0.0.0.0:7878 --board-listen 0.0.0.0:7880 \\\n    \
         --s3-listen 0.0.0.0:7879 --s3-public-url https://{host}:7879 \\\n    \
         --tls-cert {} --tls-key {} \\\n    --client-ca {} --client-crl {}",
        made.certificate.display(),
        made.key.display(),
        authority.certificate().display(),
        authority.revocation_list().display()
    ));
    Ok(())
}

pub(super) fn made_client(
    printer: &Printer,
    authority: &Authority,
    made: &Made,
    role: Role,
) -> Result<(), Error> {
    tell(printer, made)?;
    let server = authority.issued()?.into_iter().rev();
    let mut server = server.filter(|entry| entry.kind == Kind::Server);
    let host = server.next().and_then(|entry| entry.name.parse().ok());
    let host = host.map_or_else(|| "HOST".to_owned(), |host: HostName| host.in_url());
    let files = format!(
        "--ca {} \\\n    --cert {} --key {}",
        authority.certificate().display(),
        made.certificate.display(),
        made.key.display()
    );
    printer.say(&match role {
        Role::Node => format!(
            "bring ca.pem, the certificate and its key to the node, and start it with:\n  \
             atelier-node run --name {} --coordinator https://{host}:7878 \\\n    {files}",
            made.entry.name
        ),
        Role::Client | Role::Operator | Role::ReadOnly => format!(
            "bring ca.pem, the certificate and its key to who it is for, and then:\n  \
             atelier list --coordinator https://{host}:7878 {files}"
        ),
    });
    Ok(())
}

/// Where it is, until when it is valid, and what it does not put an end to.
fn tell(printer: &Printer, made: &Made) -> Result<(), Error> {
    if printer.json_wanted() {
        printer.json(&Told {
            entry: &made.entry,
            standing: Standing::Valid,
            certificate: Some(&made.certificate),
            key: Some(&made.key),
        })?;
    } else {
        printer.data(&made.certificate.display().to_string())?;
    }
    printer.say(&format!(
        "made the certificate of {} {}, valid until {}",
        made.entry.kind,
        made.entry.name,
        day(made.entry.expires_at)
    ));
    for before in &made.before {
        printer.warn(&format!(
            "one made before is valid until {}; end it with: atelier certs revoke {}",
            day(before.expires_at),
            before.serial
        ));
    }
    Ok(())
}

pub(super) fn list(printer: &Printer, issued: &[Entry], now: Timestamp) -> Result<(), Error> {
    if printer.json_wanted() {
        let told = issued.iter().map(|entry| Told {
            entry,
            standing: entry.standing(now),
            certificate: None,
            key: None,
        });
        printer.json(&told.collect::<Vec<_>>())
    } else if issued.is_empty() {
        printer.say("nothing was issued yet");
        Ok(())
    } else {
        printer.data(&table(issued, now))
    }
}

fn table(issued: &[Entry], now: Timestamp) -> String {
    let mut table = plain_table(&["KIND", "NAME", "STANDING", "EXPIRES", "SERIAL"]);
    for entry in issued {
        let name = match entry.host_names.as_slice() {
            [] => entry.name.clone(),
            names => names.join(", "),
        };
        table.add_row([
            entry.kind.to_string(),
            printable(&shortened(&name, 60)),
            entry.standing(now).to_string(),
            day(entry.expires_at),
            entry.serial.clone(),
        ]);
    }
    table.trim_fmt()
}

pub(super) fn revoked(
    printer: &Printer,
    authority: &Authority,
    revoked: &[Entry],
) -> Result<(), Error> {
    for entry in revoked {
        if printer.json_wanted() {
            printer.json(&Told {
                entry,
                standing: Standing::Revoked,
                certificate: None,
                key: None,
            })?;
        } else {
            printer.data(&entry.serial)?;
        }
        printer.say(&format!(
            "revoked the certificate of {} {}",
            entry.kind, entry.name
        ));
    }
    printer.say(&format!(
        "coordinators with --client-crl {} take it up within seconds; bring it to those elsewhere",
        authority.revocation_list().display()
    ));
    Ok(())
}

fn in_folder(folder: &Path) -> String {
    if folder == Path::new(super::FOLDER) {
        String::new()
    } else {
        format!(" --dir {}", folder.display())
    }
}

fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_issued_is_told_in_a_line_each() {
        let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let entry = |kind, name: &str, expires: &str| Entry {
            serial: "5f0c2b1d".to_owned(),
            kind,
            name: name.to_owned(),
            host_names: Vec::new(),
            issued_at: "2029-01-01T00:00:00Z".parse().unwrap(),
            expires_at: expires.parse().unwrap(),
            revoked_at: None,
        };
        let server = Entry {
            host_names: vec!["studio.lan".to_owned(), "10.0.0.7".to_owned()],
            ..entry(Kind::Server, "studio.lan", "2030-06-01T00:00:00Z")
        };
        let lost = Entry {
            revoked_at: Some(now),
            ..entry(Kind::Operator, "ann", "2030-06-01T00:00:00Z")
        };
        let old = entry(Kind::Node, "studio-1", "2029-12-31T00:00:00Z");
        insta::assert_snapshot!("certs", table(&[server, lost, old], now));
    }
}
