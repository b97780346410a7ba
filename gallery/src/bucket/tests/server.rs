//! A server that answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers each request with the next of some HTTP responses, the last one again and again, one connection each.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn with(answers: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut answers = VecDeque::from(answers.to_vec());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = requests.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                heard
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&request).into_owned());
                let answer = answers.front().cloned().unwrap_or_default();
                if answers.len() > 1 {
                    answers.pop_front();
                }
                // The client may have gone; the next one wants to be heard all the same.
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
                // A close while the body is still coming in would reset the connection before the answer is read.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
        });
        Self {
            endpoint,
            requests,
            task,
        }
    }

    /// How many requests came.
    pub(crate) fn heard(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// The head of one of them, and what came with it.
    pub(crate) fn request(&self, number: usize) -> String {
        self.requests.lock().unwrap()[number].clone()
    }
}

pub(crate) fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

pub(crate) fn error_body(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>So it is</Message></Error>")
}
