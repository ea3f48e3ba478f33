//! Lines of cells as a table of text.

const GAP: &str = "  ";

/// Aligns the cells of lines that have equally many. Columns in `numbers` are aligned to the right.
pub fn columns(lines: &[Vec<String>], numbers: &[usize]) -> String {
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| lines.iter().filter_map(|line| line.get(i)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|i| width(i).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        let cell = |(i, cell): (usize, &String)| match (numbers.contains(&i), widths[i]) {
            (true, width) => format!("{cell:>width$}"),
            (false, width) => format!("{cell:<width$}"),
        };
        let cells: Vec<String> = line.iter().enumerate().map(cell).collect();
        text.push_str(cells.join(GAP).trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_and_lines_end_without_spaces() {
        let lines = [["NAME", "COUNT", "NOTE"], ["é", "7", "-"], ["longer", "12345678", "x y"]];
        let lines: Vec<Vec<String>> = lines.iter().map(|line| line.map(String::from).into()).collect();
        assert_eq!(columns(&lines, &[1]), "NAME       COUNT  NOTE\né              7  -\nlonger  12345678  x y\n");
        assert_eq!(columns(&[], &[]), "");
    }
}
