//! Provenance as an XMP packet, for formats without text chunks, and back from the packets written here.

use super::provenance::Provenance;

/// What stands where a text was cut.
const CUT: &str = " … (cut: too long for this format)";
const KEYWORD: (&str, &str) = ("<atelier:keyword>", "</atelier:keyword>");
const TEXT: (&str, &str) = ("<atelier:text>", "</atelier:text>");

/// An XMP packet (ISO 16684-1) of at most `bytes_max` bytes: an ordered list of keywords and texts, and `Software` also as
/// the creator tool that other programs show.
///
/// If it would be longer the longest text is cut: a picture is worth more than its whole story.
pub(super) fn write(about: &Provenance, bytes_max: usize) -> String {
    let mut pairs: Vec<(String, String)> = about
        .pairs()
        .iter()
        .map(|(keyword, text)| (escaped(keyword), escaped(text)))
        .collect();
    loop {
        let packet = packet(&pairs);
        let excess = packet.len().saturating_sub(bytes_max);
        let longest = pairs.iter_mut().max_by_key(|(_, text)| text.len());
        let Some((_, text)) = longest.filter(|_| excess > 0) else {
            return packet;
        };
        let kept = text.strip_suffix(CUT).unwrap_or(text).len();
        let kept = kept.saturating_sub(excess + CUT.len());
        text.truncate(text.floor_char_boundary(kept));
        // Half an escape is none.
        if let Some(escape) = text.rfind('&').filter(|at| !text[*at..].contains(';')) {
            text.truncate(escape);
        }
        text.push_str(CUT);
        if kept == 0 {
            // Many short texts instead of a long one: the last ones go.
            pairs.pop();
        }
    }
}

/// The packet of escaped keywords and texts.
fn packet(pairs: &[(String, String)]) -> String {
    let mut list = String::new();
    let mut tool = String::new();
    for (keyword, text) in pairs {
        if keyword == "Software" {
            tool = format!("<xmp:CreatorTool>{text}</xmp:CreatorTool>");
        }
        for part in [
            "<rdf:li rdf:parseType=\"Resource\">",
            KEYWORD.0,
            keyword,
            KEYWORD.1,
            TEXT.0,
            text,
            TEXT.1,
            "</rdf:li>\n",
        ] {
            list.push_str(part);
        }
    }
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\
         <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\
         <rdf:Description rdf:about=\"\" xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\" \
         xmlns:atelier=\"urn:atelier:provenance\">{tool}<atelier:provenance><rdf:Seq>\n\
         {list}</rdf:Seq></atelier:provenance></rdf:Description></rdf:RDF></x:xmpmeta>\n\
         <?xpacket end=\"r\"?>"
    )
}

/// The keywords and texts of a packet that [`write()`] made; none of any other.
pub(super) fn read(packet: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = packet;
    while let Some((keyword, after)) = between(rest, KEYWORD) {
        let Some((text, after)) = between(after, TEXT) else {
            break;
        };
        pairs.push((unescaped(keyword), unescaped(text)));
        rest = after;
    }
    pairs
}

/// What stands between two tags, and what follows.
fn between<'a>(text: &'a str, (start, end): (&str, &str)) -> Option<(&'a str, &'a str)> {
    let (_, text) = text.split_once(start)?;
    text.split_once(end)
}

/// As XML 1.0 can hold it: characters that it cannot, control characters, become U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // Parsers turn a bare one into a line feed.
            '\r' => escaped.push_str("&#13;"),
            '\t' | '\n' => escaped.push(character),
            '\0'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => escaped.push('\u{FFFD}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

fn unescaped(text: &str) -> String {
    // Ampersands last, so that what they give is not taken for an escape.
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#13;", "\r")
        .replace("&amp;", "&")
}
