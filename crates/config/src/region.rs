//! The names of AWS Regions.

/// Whether a text has the form of a Region: `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`. Not whether AWS has it.
pub(crate) fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let number = parts.next_back().unwrap_or_default();
    let words: Vec<&str> = parts.collect();
    let is_word = |word: &&str| word.len() >= 2 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    (2..=3).contains(&words.len())
        && words.iter().all(is_word)
        && number.len() == 1
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_region;

    #[test]
    fn knows_the_form() {
        for good in ["us-east-1", "ap-southeast-4", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1"] {
            assert!(is_region(good), "{good}");
        }
        for bad in ["", "us", "us-east", "US-EAST-1", "us-east-10", "useast1", "us--1", "us-east-1a", "a-b-c-d-1"] {
            assert!(!is_region(bad), "{bad}");
        }
    }
}
