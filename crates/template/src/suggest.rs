//! The nearest of the names that would have been right.

/// The candidate that `wrong` was most likely meant to be: at most a third of its letters away.
pub(crate) fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Names in templates are short; longer ones are no typing mistakes, and cost a square of their length.
    if wrong.len() > 64 {
        return None;
    }
    let fold = |name: &str| name.to_lowercase().replace('-', "_");
    let folded = fold(wrong);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 64 && *candidate != wrong)
        .map(|candidate| (distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(wrong.len()).div_ceil(3).min(4))
        // In names of a letter or two everything is near.
        .filter(|(distance, candidate)| *distance < candidate.len().min(wrong.len()))
        .min()
        .map(|(_, candidate)| candidate)
}

/// A hint that names the nearest candidate, or all where they are few.
pub(crate) fn hint<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(name) = nearest(wrong, candidates.clone()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let all: Vec<&str> = candidates.into_iter().collect();
    (1..=12).contains(&all.len()).then(|| format!("one of {} would do", list(&all)))
}

/// Names in backticks, with commas.
pub(crate) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// How many letters have to be put in, left out, exchanged or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index;
    }
    for (column, cell) in rows[0].iter_mut().enumerate() {
        *cell = column;
    }
    for row in 1..=left.len() {
        for column in 1..=right.len() {
            let differs = usize::from(left[row - 1] != right[column - 1]);
            let mut best = (rows[row - 1][column] + 1)
                .min(rows[row][column - 1] + 1)
                .min(rows[row - 1][column - 1] + differs);
            let swapped = row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1];
            if swapped {
                best = best.min(rows[row - 2][column - 2] + 1);
            }
            rows[row][column] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not() {
        let keys = ["iso_url", "iso_urls", "output_filename", "resolv-conf"];
        assert_eq!(nearest("iso_ulr", keys), Some("iso_url"));
        assert_eq!(nearest("ouput_filename", keys), Some("output_filename"));
        assert_eq!(nearest("resolv_conf", keys), Some("resolv-conf"));
        assert_eq!(nearest("communicator", keys), None);
    }
}
