//! Rows of fields with a separator between them (RFC 4180, and with `;` or tabs as spreadsheets save it).

/// A row, and the line that it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) fields: Vec<String>,
}

/// A table whose first row names its columns.
#[derive(Debug)]
pub(super) struct Table {
    heading: Vec<String>,
    pub(super) rows: Vec<Row>,
}

impl Row {
    pub(super) fn field(&self, index: usize) -> &str {
        self.fields.get(index).map_or("", String::as_str)
    }
}

impl Table {
    /// The first row that is not empty names the columns.
    pub(super) fn of(rows: Vec<Row>) -> Table {
        let mut rows = rows.into_iter();
        let heading = rows.next().map(|row| row.fields).unwrap_or_default();
        Table { heading: heading.iter().map(|name| plain(name)).collect(), rows: rows.collect() }
    }

    /// The column with one of these names, written as `plain` does.
    pub(super) fn column(&self, names: &[&str]) -> Option<usize> {
        self.heading.iter().position(|heading| names.contains(&heading.as_str()))
    }

    /// The names of columns that are none of these.
    pub(super) fn others(&self, known: &[&[&str]]) -> Vec<&str> {
        let is_known = |name: &&String| known.iter().any(|names| names.contains(&name.as_str()));
        self.heading.iter().filter(|name| !name.is_empty() && !is_known(name)).map(String::as_str).collect()
    }
}

/// A heading in small letters, words with one space between.
fn plain(heading: &str) -> String {
    let spaced = heading.to_lowercase().replace(['_', '-'], " ");
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rows that are not empty. Which separator it is, the first line tells.
pub(super) fn rows(text: &str) -> Vec<Row> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |separator: &char| first.matches(*separator).count();
    let separator = [',', ';', '\t'].into_iter().rev().max_by_key(count).unwrap_or(',');
    split(text, separator)
}

fn split(text: &str, separator: char) -> Vec<Row> {
    let (mut rows, mut fields, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut begins, mut quoted) = (1, 1, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        line += usize::from(character == '\n');
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.trim().is_empty() => {
                field.clear();
                quoted = true;
            }
            _ if quoted => field.push(character),
            '\n' => {
                fields.push(std::mem::take(&mut field));
                end(&mut rows, &mut fields, begins);
                begins = line;
            }
            _ if character == separator => fields.push(std::mem::take(&mut field)),
            _ => field.push(character),
        }
    }
    fields.push(field);
    end(&mut rows, &mut fields, begins);
    rows
}

fn end(rows: &mut Vec<Row>, fields: &mut Vec<String>, line: usize) {
    let fields: Vec<String> = std::mem::take(fields).iter().map(|field| field.trim().to_owned()).collect();
    if fields.iter().any(|field| !field.is_empty()) {
        rows.push(Row { line, fields });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<(usize, Vec<String>)> {
        rows(text).into_iter().map(|row| (row.line, row.fields)).collect()
    }

    #[test]
    fn quotes_separators_and_lines() {
        let text = "Tag Name,Address\r\n\"a,\"\"b\"\"\nc\",400001\r\n\r\n x ,\r\n";
        let expected = vec![
            (1, vec!["Tag Name".to_owned(), "Address".into()]),
            (2, vec!["a,\"b\"\nc".to_owned(), "400001".into()]),
            (5, vec!["x".to_owned(), String::new()]),
        ];
        assert_eq!(fields(text), expected);
        assert_eq!(fields("a;b,c;d")[0].1, ["a", "b,c", "d"]);
        assert_eq!(fields("a\tb")[0].1, ["a", "b"]);
    }

    #[test]
    fn columns_are_found_however_they_are_written() {
        let table = Table::of(rows("Tag_Name, Data  Type ,Colour\n1,2,3\n"));
        assert_eq!(table.column(&["name", "tag name"]), Some(0));
        assert_eq!(table.column(&["data type"]), Some(1));
        assert_eq!(table.others(&[&["tag name"], &["data type"]]), ["colour"]);
    }
}
