//! Pages of lists: so many rows, and where the next ones begin.

use super::refusal::Refusal;
use crate::dto::listed::Listed;
use crate::dto::problem::Problem;
use fusebox_engine::ports::store::LISTED;

/// The most rows of a page.
const MOST: u32 = 1000;

/// How many rows a page has.
///
/// # Errors
/// None, or too many.
pub(super) fn limit(wanted: Option<u32>) -> Result<u32, Refusal> {
    match wanted {
        None => Ok(LISTED),
        Some(limit @ 1..=MOST) => Ok(limit),
        Some(limit) => Err(Problem::bad_request(format!("query: limit: {limit} is out of range, 1 to {MOST}")).into()),
    }
}

/// A page of at most `limit` rows out of one row more, which says whether there is another page.
pub(super) fn page<T>(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Listed<T> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let next = (rows.len() > most)
        .then(|| rows.get(most.saturating_sub(1)).map(&cursor))
        .flatten();
    rows.truncate(most);
    Listed { items: rows, next }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_page_says_where_the_next_begins_if_there_is_one() {
        let of = |rows: &[u32]| page(rows.to_vec(), 2, u32::to_string);
        assert_eq!(
            of(&[7, 8, 9]),
            Listed {
                items: vec![7, 8],
                next: Some("8".to_owned())
            }
        );
        assert_eq!(
            of(&[7, 8]),
            Listed {
                items: vec![7, 8],
                next: None
            }
        );
        assert_eq!(
            of(&[]),
            Listed {
                items: vec![],
                next: None
            }
        );
    }

    #[test]
    fn pages_are_bounded() {
        assert_eq!(limit(None).unwrap(), 100);
        assert_eq!(limit(Some(1000)).unwrap(), 1000);
        assert!(limit(Some(0)).is_err() && limit(Some(1001)).is_err());
    }
}
