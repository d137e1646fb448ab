//! HTTP/1.1 messages taken apart, for comparing.

use tokio::io::{AsyncRead, AsyncReadExt};

/// A request or an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub first: String,
    /// As they were written, in order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    pub is_chunked: bool,
    /// It came to its end.
    pub is_whole: bool,
}

impl Message {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Without what belongs to one connection, and what a proxy of ours adds.
    pub fn passed_on(mut self) -> Self {
        self.headers.retain(|(name, _)| {
            !["connection", "transfer-encoding", "minutebook-decision-id"]
                .contains(&name.to_ascii_lowercase().as_str())
        });
        self
    }
}

/// Reads one message; of an answer to HEAD, and of those that have none, no body.
pub async fn read(from: &mut (impl AsyncRead + Unpin), is_headless: bool) -> Option<Message> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let mut message = Message { first: lines.next().unwrap().to_owned(), ..Message::default() };
    message.headers = lines.map(pair).collect();
    let status = message.first.strip_prefix("HTTP/1.1 ").map(|rest| rest[..3].to_owned());
    if is_headless || matches!(status.as_deref(), Some("101" | "204" | "304" | "103" | "100")) {
        message.is_whole = true;
    } else if message.header("transfer-encoding").is_some() {
        message.is_chunked = true;
        message.is_whole = chunks(from, &mut message).await.is_some();
    } else if let Some(length) = message.header("content-length").map(|text| text.parse::<u64>().unwrap()) {
        message.is_whole =
            from.take(length).read_to_end(&mut message.body).await.is_ok_and(|got| got as u64 == length);
    } else {
        message.is_whole = status.is_none() || from.read_to_end(&mut message.body).await.is_ok();
    }
    Some(message)
}

fn pair(line: &str) -> (String, String) {
    let (name, value) = line.split_once(": ").unwrap_or((line, ""));
    (name.to_owned(), value.to_owned())
}

async fn line(from: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(from.read_u8().await.ok()?);
    }
    Some(String::from_utf8(line).unwrap().trim_end().to_owned())
}

async fn chunks(from: &mut (impl AsyncRead + Unpin), message: &mut Message) -> Option<()> {
    loop {
        let length = usize::from_str_radix(&line(from).await?, 16).unwrap();
        if length == 0 {
            break;
        }
        let before = message.body.len();
        message.body.resize(before + length, 0);
        from.read_exact(&mut message.body[before..]).await.ok()?;
        line(from).await?;
    }
    loop {
        match line(from).await?.as_str() {
            "" => return Some(()),
            trailer => message.trailers.push(pair(trailer)),
        }
    }
}
