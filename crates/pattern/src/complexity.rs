//! How many places of a list's wildcards one text can be at, at once: AWS refuses a pattern in which that is too many.
use crate::operator::Refusal;
use crate::test::{Test, Text};
use crate::wildcard::Wildcard;

/// AWS documents the rule but not its number. Known to be refused: `*:*:*:*:*:event-bus/*`, which comes to 11.
const MAXIMUM: usize = 10;

pub(crate) fn check(tests: &[Test]) -> Result<(), Refusal> {
    let mut wildcards = Vec::new();
    collect(tests, &mut wildcards);
    // A star once passed stays a place to be at, so the worst text is one that has passed all of those it can pass.
    let worst = wildcards.iter().map(|longest| {
        let reachable: Vec<&Wildcard> =
            wildcards.iter().filter(|other| first(longest).starts_with(first(other))).copied().collect();
        places(&reachable)
    });
    match worst.max() {
        Some(places) if places > MAXIMUM => Err("the wildcards are too complex: use fewer '*' in them, or fewer \
             repeating sequences of characters after a '*'"
            .into()),
        _ => Ok(()),
    }
}

/// The wildcards that have a star.
fn collect<'t>(tests: &'t [Test], wildcards: &mut Vec<&'t Wildcard>) {
    for test in tests {
        match test {
            Test::Text(Text::Wildcard(wildcard)) if wildcard.pieces().len() > 1 => wildcards.push(wildcard),
            Test::AnythingBut(inner) => collect(inner, wildcards),
            _ => {}
        }
    }
}

fn first(wildcard: &Wildcard) -> &str {
    wildcard.pieces().first().map_or("", String::as_str)
}

/// All stars, and the most beginnings of the pieces after them that can end at one place of a text.
fn places(wildcards: &[&Wildcard]) -> usize {
    let pieces: Vec<&[u8]> =
        wildcards.iter().flat_map(|wildcard| wildcard.pieces().iter().skip(1).map(String::as_bytes)).collect();
    if pieces.len() > MAXIMUM {
        return pieces.len();
    }
    let tables: Vec<Table<'_>> = pieces.iter().map(|piece| Table::new(piece)).collect();
    // The longest beginning that ends somewhere tells all the others that do, so no other texts need a try.
    let beginnings = pieces.iter().map(|text| {
        let mut states = vec![0; tables.len()];
        let counts = text.iter().map(|byte| {
            let advance = |(state, table): (&mut usize, &Table<'_>)| {
                *state = table.advance(*state, *byte);
                table.counts[*state]
            };
            states.iter_mut().zip(&tables).map(advance).sum::<usize>()
        });
        counts.max().unwrap_or(0)
    });
    pieces.len() + beginnings.max().unwrap_or(0)
}

/// For each length of a beginning of a piece: the longest shorter beginning it ends with, and how many it ends with.
struct Table<'p> {
    piece: &'p [u8],
    shorter: Vec<usize>,
    counts: Vec<usize>,
}

impl<'p> Table<'p> {
    fn new(piece: &'p [u8]) -> Self {
        let mut table = Self { piece, shorter: vec![0], counts: vec![0] };
        for (length, byte) in piece.iter().enumerate() {
            let shorter = if length == 0 { 0 } else { table.advance(table.shorter[length], *byte) };
            table.shorter.push(shorter);
            table.counts.push(table.counts[shorter] + 1);
        }
        table
    }

    /// The length of the longest beginning that a text ends with, after one more byte.
    fn advance(&self, mut length: usize, byte: u8) -> usize {
        loop {
            if self.piece.get(length) == Some(&byte) {
                return length + 1;
            }
            if length == 0 {
                return 0;
            }
            length = self.shorter[length];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places_of(texts: &[&str]) -> usize {
        let wildcards: Vec<Wildcard> = texts.iter().map(|text| Wildcard::compile(text).unwrap()).collect();
        places(&wildcards.iter().collect::<Vec<_>>())
    }

    #[test]
    fn counts_stars_and_beginnings() {
        for (texts, expected) in [
            (&["*"][..], 1),
            (&["abc*"], 1),
            (&["*abc"], 2),
            (&["*aaa"], 4),
            (&["*aba*"], 4),
            (&["*:*:*:*:*:event-bus/*"], 11),
            (&["*/datasync/*.bif"], 4),
            (&["*/datasync/*.bif", "*/datasync/*.tif"], 8),
            (&["*.bif", "*.tiff", "*.tif", "*.svs"], 8),
        ] {
            assert_eq!(places_of(texts), expected, "{texts:?}");
        }
    }

    fn is_refused(texts: &[&str]) -> bool {
        let tests: Vec<Test> =
            texts.iter().map(|text| Test::Text(Text::Wildcard(Wildcard::compile(text).unwrap()))).collect();
        check(&tests).is_err()
    }

    #[test]
    fn only_wildcards_that_one_text_can_reach_count_together() {
        let four = ["*/datasync/*.bif", "*/datasync/*.tiff", "*/datasync/*.tif", "*/datasync/*.svs"];
        assert!(is_refused(&four));
        assert!(!is_refused(&["a*/x/*.bif", "b*/x/*.tiff", "c*/x/*.tif", "d*/x/*.svs"]));
        assert!(is_refused(&["*:*:*:*:*:event-bus/*"]) && !is_refused(&["*:*:*:*:event-bus/*"]));
        assert!(is_refused(&["*aaaaaaaaaaa"]) && !is_refused(&["aaaaaaaaaaa*"]));
        let long = format!("*{}", "ab".repeat(2_000));
        assert!(is_refused(&[&long]));
    }
}
