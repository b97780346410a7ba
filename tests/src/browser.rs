//! A real browser, told what to do and asked what it shows, over the
//! [Chrome DevTools Protocol](https://chromedevtools.github.io/devtools-protocol/).

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::programs::PATIENCE;
use crate::tools;

/// Between two looks at what is waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// What Chromium says where a page goes while it is asked something.
const NAVIGATED: &str = "navigated or closed";

/// A browser with one page, and a profile of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Browser {
    _process: Child,
    _profile: TempDir,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    sent: u64,
    /// What the page logged as an error, and what it could not load.
    pub problems: Vec<String>,
}

impl Browser {
    /// A browser with an empty page of this many pixels.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(program: &Path, width: u32, height: u32) -> anyhow::Result<Self> {
        let profile = tempfile::tempdir()?;
        let process = Command::new(program)
            .args("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run".split(' '))
            .args(
                "--disable-background-networking --disable-component-update --disable-sync"
                    .split(' '),
            )
            .args([
                "--hide-scrollbars",
                "--remote-debugging-port=0",
                "about:blank",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("the browser")?;
        let address = profile.path().join("DevToolsActivePort");
        let address = wait("the browser's port", async || {
            let text = tokio::fs::read_to_string(&address).await.ok()?;
            let (port, path) = text.trim().split_once('\n')?;
            Some(format!("ws://127.0.0.1:{port}{path}"))
        })
        .await?;
        let (socket, _) = tokio_tungstenite::connect_async(address).await?;
        let mut browser = Self {
            _process: process,
            _profile: profile,
            socket,
            session: String::new(),
            sent: 0,
            problems: Vec::new(),
        };
        let target = json!({"url": "about:blank"});
        let target = browser.call("Target.createTarget", target).await?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach).await?;
        attached["sessionId"]
            .as_str()
            .context("no session")?
            .clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({})).await?;
        }
        browser.resize(width, height).await?;
        Ok(browser)
    }

    /// Makes the page this large, CSS pixels.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn resize(&mut self, width: u32, height: u32) -> anyhow::Result<()> {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics)
            .await?;
        Ok(())
    }

    /// Lets the person before it prefer `dark` or `light`, and less motion or any.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn prefer(&mut self, scheme: &str, reduced_motion: bool) -> anyhow::Result<()> {
        let motion = if reduced_motion {
            "reduce"
        } else {
            "no-preference"
        };
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]});
        self.call("Emulation.setEmulatedMedia", features).await?;
        Ok(())
    }

    /// Goes to a page, and waits until all of it has come.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub async fn go(&mut self, url: &str) -> anyhow::Result<()> {
        let answer = self.call("Page.navigate", json!({"url": url})).await?;
        ensure!(
            answer["errorText"].is_null(),
            "{url}: {}",
            answer["errorText"]
        );
        let is_there = "document.readyState === 'complete' && location.href !== 'about:blank'";
        self.until(is_there).await
    }

    /// The value of an expression in the page, once a promise of it is kept.
    ///
    /// # Errors
    /// When it throws.
    pub async fn value(&mut self, expression: &str) -> anyhow::Result<Value> {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", asked).await?;
        let thrown = &answer["exceptionDetails"];
        ensure!(thrown.is_null(), "{expression}: {thrown}");
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an expression is true in the page.
    ///
    /// # Errors
    /// When it never is.
    pub async fn until(&mut self, expression: &str) -> anyhow::Result<()> {
        self.until_within(PATIENCE, expression).await
    }

    /// The same of what may take longer, as painting does.
    ///
    /// # Errors
    /// When it is not true within that time.
    pub async fn until_within(
        &mut self,
        patience: Duration,
        expression: &str,
    ) -> anyhow::Result<()> {
        let asking = async {
            loop {
                match self.value(expression).await {
                    Ok(Value::Bool(true)) => return Ok(()),
                    Ok(_) => {}
                    // The page that was asked went, and another comes.
                    Err(error) if error.to_string().contains(NAVIGATED) => {}
                    Err(error) => return Err(error),
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        };
        if let Ok(result) = tokio::time::timeout(patience, asking).await {
            return result;
        }
        let said = self.value("document.body.innerText").await?;
        let said: String = said
            .as_str()
            .unwrap_or_default()
            .chars()
            .take(1_000)
            .collect();
        bail!(
            "never was: {expression}\nthe page says: {said}\nproblems: {:#?}",
            self.problems
        )
    }

    /// Presses a key, as in `ArrowLeft` or `f`, where the focus is.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn press(&mut self, key: &str) -> anyhow::Result<()> {
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Tab" => 9,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let text = match key {
            "Enter" => "\r",
            one if one.chars().count() == 1 => one,
            _ => "",
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event =
                json!({"type": kind, "key": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// Clicks in the middle of the first element that a selector finds.
    ///
    /// # Errors
    /// When there is none.
    pub async fn click(&mut self, selector: &str) -> anyhow::Result<()> {
        let place = format!(
            "(() => {{ const box = document.querySelector({selector:?}).getBoundingClientRect(); \
             return [box.left + box.width / 2, box.top + box.height / 2]; }})()"
        );
        let place = self.value(&place).await?;
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event).await?;
        }
        Ok(())
    }

    /// Makes sure that [axe-core](https://github.com/dequelabs/axe-core) takes nothing of what is shown to be serious; where
    /// it is not installed, that is said aloud.
    ///
    /// # Errors
    /// When it finds something, or cannot be run.
    pub async fn is_accessible(&mut self) -> anyhow::Result<()> {
        let Some(axe) = tools::axe() else {
            return Ok(());
        };
        let script = std::fs::read_to_string(axe)?;
        self.value(&format!("{script}; true")).await?;
        let found = "axe.run().then((all) => all.violations \
             .filter((it) => ['serious', 'critical'].includes(it.impact)) \
             .map((it) => it.id + ': ' + it.nodes.map((node) => node.html + ' ' + node.failureSummary).join(' | ')))";
        let found = self.value(found).await?;
        ensure!(found == json!([]), "{found:#}");
        Ok(())
    }

    /// A picture of what is to be seen, PNG.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn screenshot(&mut self) -> anyhow::Result<Vec<u8>> {
        use base64::Engine as _;
        let answer = self
            .call("Page.captureScreenshot", json!({"format": "png"}))
            .await?;
        let data = answer["data"].as_str().context("no picture")?;
        Ok(base64::prelude::BASE64_STANDARD.decode(data)?)
    }

    /// Calls a method of the protocol; its answer.
    ///
    /// # Errors
    /// When the browser refuses it, or does not answer.
    pub async fn call(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.sent += 1;
        let id = self.sent;
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(message.to_string())).await?;
        let answered = async {
            loop {
                let message = self.socket.next().await.context("the browser has gone")??;
                let Message::Text(text) = message else {
                    continue;
                };
                let mut said: Value = serde_json::from_str(&text)?;
                if said["id"] == id {
                    ensure!(said["error"].is_null(), "{method}: {}", said["error"]);
                    return Ok(said["result"].take());
                }
                self.problems.extend(problem(&said));
            }
        };
        let answer = tokio::time::timeout(PATIENCE, answered).await;
        answer.with_context(|| format!("{method} was never answered"))?
    }
}

/// What an event says that should not be.
fn problem(event: &Value) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
        "Log.entryAdded" if params["entry"]["level"] == "error" => {
            Some(params["entry"].to_string())
        }
        "Runtime.consoleAPICalled" if params["type"] == "error" => Some(params["args"].to_string()),
        _ => None,
    }
}

async fn wait<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.with_context(|| format!("never saw {what}"))
}
