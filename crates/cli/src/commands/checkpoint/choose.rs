//! Which mappings are meant.
use std::path::Path;

use pelton_core::{Mapping, MappingId};

/// The mappings on streams; with a name, those that it means: a UUID, or an EventSourceArn. Never none.
pub fn streams<'m>(mappings: &'m [Mapping], name: Option<&str>, file: &Path) -> anyhow::Result<Vec<&'m Mapping>> {
    let streams: Vec<&Mapping> = mappings.iter().filter(|mapping| mapping.stream.is_some()).collect();
    if streams.is_empty() {
        anyhow::bail!("{} has no mapping of a stream, and a queue has no checkpoints", file.display());
    }
    let Some(name) = name else { return Ok(streams) };
    let id = name.parse().ok().map(MappingId);
    let is_meant = |mapping: &&&Mapping| Some(mapping.id) == id || mapping.event_source.to_string() == name;
    let meant: Vec<&Mapping> = streams.iter().filter(is_meant).copied().collect();
    if meant.is_empty() {
        anyhow::bail!("{} has no mapping of a stream {name}: there {}", file.display(), are(&streams));
    }
    Ok(meant)
}

/// The one mapping that a name means.
pub fn stream<'m>(mappings: &'m [Mapping], name: &str, file: &Path) -> anyhow::Result<&'m Mapping> {
    let meant = streams(mappings, Some(name), file)?;
    match meant[..] {
        [mapping] => Ok(mapping),
        _ => anyhow::bail!("{name} has several mappings, name one by its UUID: there {}", are(&meant)),
    }
}

fn are(mappings: &[&Mapping]) -> String {
    let line = |mapping: &&Mapping| format!("\n  {}  {} → {}", mapping.id, mapping.event_source, mapping.function);
    let verb = if mappings.len() == 1 { "is" } else { "are" };
    format!("{verb}{}", mappings.iter().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mappings(entries: &str) -> Vec<Mapping> {
        let text = format!("Region: us-east-1\nEventSourceMappings:\n{entries}");
        let loaded = pelton_config::load_text(&text, "/pelton.yaml".as_ref(), &|_| None);
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        loaded.configuration.mappings
    }

    fn entry(stream: &str, function: &str) -> String {
        format!(
            "  - {{EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/{stream}', FunctionName: {function}, \
             StartingPosition: LATEST}}\n"
        )
    }

    #[test]
    fn a_mapping_is_named_by_its_id_or_by_a_stream_that_no_other_one_has() {
        let queue = "  - {EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', FunctionName: work}\n";
        let all = mappings(&(entry("a", "one") + &entry("b", "one") + &entry("b", "two") + queue));
        let file = Path::new("pelton.yaml");
        let arn = |name: &str| format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}");
        assert_eq!(streams(&all, None, file).unwrap(), [&all[0], &all[1], &all[2]]);
        assert_eq!(streams(&all, Some(&arn("b")), file).unwrap(), [&all[1], &all[2]]);
        assert_eq!(stream(&all, &arn("a"), file).unwrap(), &all[0]);
        assert_eq!(stream(&all, &all[2].id.to_string(), file).unwrap(), &all[2]);
        let lines: Vec<String> = [(0, "a", "one"), (1, "b", "one"), (2, "b", "two")]
            .map(|(i, name, function)| format!("\n  {}  {} → {function}", all[i].id, arn(name)))
            .into();
        assert_eq!(
            stream(&all, &arn("b"), file).unwrap_err().to_string(),
            format!("{} has several mappings, name one by its UUID: there are{}{}", arn("b"), lines[1], lines[2])
        );
        assert_eq!(
            stream(&all, "arn:aws:sqs:us-east-1:000000000000:q", file).unwrap_err().to_string(),
            format!(
                "pelton.yaml has no mapping of a stream arn:aws:sqs:us-east-1:000000000000:q: there are{}",
                lines.concat()
            )
        );
        assert_eq!(
            streams(&mappings(queue), None, file).unwrap_err().to_string(),
            "pelton.yaml has no mapping of a stream, and a queue has no checkpoints"
        );
    }
}
