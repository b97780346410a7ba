//! `atelier-node devices`: what this machine has to render on.

use std::path::{Path, PathBuf};

use comfy_table::{Table, TableStyle};
use serde::Serialize;

use super::{CommandError, say};
use crate::executor::ExecutorError;
use crate::render::{self, DeviceInfo};

/// What is answered.
#[derive(Debug, Serialize)]
struct Answer {
    libtorch: Libtorch,
    devices: Vec<DeviceInfo>,
}

#[derive(Debug, Serialize)]
struct Libtorch {
    version: &'static str,
    /// None where the system does not tell.
    folder: Option<PathBuf>,
}

pub(super) async fn devices(json: bool) -> Result<(), CommandError> {
    // Libraries of GPUs are opened, and drivers may take their time.
    let look = || Answer {
        devices: render::devices(),
        libtorch: Libtorch {
            version: render::LIBTORCH_VERSION,
            folder: render::libtorch_folder(),
        },
    };
    let answer = tokio::task::spawn_blocking(look)
        .await
        .map_err(|panic| ExecutorError::Panicked(panic.to_string()))?;
    let text = if json {
        serde_json::to_string(&answer).map_err(std::io::Error::from)?
    } else {
        answer.to_words()
    };
    say(&text)
}

impl Answer {
    /// A table and two lines.
    fn to_words(&self) -> String {
        let mut table = Table::new();
        table
            .load_style(TableStyle::new())
            .set_header(["DEVICE", "NAME", "MEMORY", "FREE", "WITH"]);
        for device in &self.devices {
            table.add_row([
                device.device.clone(),
                device.name.clone().unwrap_or_default(),
                gibibytes(device.memory_bytes),
                gibibytes(device.memory_free_bytes),
                with(device),
            ]);
        }
        let mut lines = vec![table.trim_fmt()];
        if let Some(chosen) = self.devices.iter().find(|device| device.auto) {
            lines.push(format!("\n--device auto takes {}", chosen.device));
        }
        let Libtorch { version, folder } = &self.libtorch;
        let folder = folder
            .as_deref()
            .map_or("an unknown place".into(), Path::to_string_lossy);
        lines.push(format!("libtorch {version} from {folder}"));
        lines.join("\n")
    }
}

fn gibibytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| {
        format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
    })
}

/// What sets the device apart from others of its kind.
fn with(device: &DeviceInfo) -> String {
    let cores = device.cores.map(|cores| match cores {
        1 => "1 core".to_owned(),
        many => format!("{many} cores"),
    });
    let bfloat16 = if device.bfloat16 {
        "bfloat16"
    } else {
        "no bfloat16"
    };
    let capability = device.compute_capability.as_ref();
    let capability = capability.map(|number| format!("compute capability {number}"));
    let all = [cores, Some(bfloat16.to_owned()), capability];
    let all = all.into_iter().flatten();
    all.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, auto: bool) -> DeviceInfo {
        DeviceInfo {
            device: name.to_owned(),
            auto,
            name: None,
            memory_bytes: None,
            memory_free_bytes: None,
            cores: None,
            bfloat16: false,
            compute_capability: None,
        }
    }

    fn answer() -> Answer {
        let cpu = DeviceInfo {
            name: Some("Some CPU @ 2 GHz".to_owned()),
            memory_bytes: Some(24 << 30),
            memory_free_bytes: Some(22 << 30),
            cores: Some(2),
            bfloat16: true,
            ..device("cpu", false)
        };
        let gpu = DeviceInfo {
            name: Some("NVIDIA H100 80GB HBM3".to_owned()),
            memory_bytes: Some(80 << 30),
            memory_free_bytes: Some(79 << 30),
            bfloat16: true,
            compute_capability: Some("9.0".to_owned()),
            ..device("cuda:0", true)
        };
        let libtorch = Libtorch {
            version: "2.11.0",
            folder: Some(PathBuf::from("/srv/libtorch/lib")),
        };
        Answer {
            libtorch,
            // The last one has lost its driver's files.
            devices: vec![cpu, gpu, device("cuda:1", false)],
        }
    }

    #[test]
    fn people_see_a_table_and_which_device_is_taken() {
        insta::assert_snapshot!("devices", answer().to_words());
    }

    #[test]
    fn programs_get_the_same_in_json() {
        let value = serde_json::to_value(answer()).unwrap();
        assert_eq!(value["libtorch"]["version"], "2.11.0");
        assert_eq!(value["devices"][1]["compute_capability"], "9.0");
        assert_eq!(value["devices"][1]["auto"], true);
        assert!(value["devices"][2]["memory_bytes"].is_null());
    }
}
