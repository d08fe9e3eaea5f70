//! Tables for spreadsheets: the one place where CSV is written.

use std::borrow::Cow;

use csv::Writer;

use crate::error::{Error, Result};

/// Rows with a heading as CSV (RFC 4180); without one they go on behind others. A cell that a spreadsheet would take for a formula is made a text with an apostrophe
/// before it, unless it is a number; a JSON document never begins like one.
///
/// # Errors
/// When a row has not as many cells as the heading, which would be a defect.
pub fn write<R>(heading: Option<&[&str]>, rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>>
where
    R: IntoIterator<Item: AsRef<str>>,
{
    let mut writer = Writer::from_writer(Vec::new());
    if let Some(heading) = heading {
        writer.write_record(heading).map_err(Error::internal)?;
    }
    for row in rows {
        for cell in row {
            writer.write_field(harmless(cell.as_ref()).as_bytes()).map_err(Error::internal)?;
        }
        writer.write_record(None::<&[u8]>).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(Error::internal)
}

fn harmless(cell: &str) -> Cow<'_, str> {
    // What begins with an apostrophe and would be one without it gets another, so that there is one way back.
    match is_formula(cell.trim_start_matches('\'')) && !is_number(cell) {
        true => format!("'{cell}").into(),
        false => cell.into(),
    }
}

/// The text of a cell as [`write`] was given it: without the apostrophe that makes it no formula.
#[must_use]
pub fn as_written(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| is_formula(rest.trim_start_matches('\''))).unwrap_or(cell)
}

fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

fn is_number(cell: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = cell.split_once('.').unwrap_or((cell, "0"));
    digits(whole.strip_prefix('-').unwrap_or(whole)) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_comes_back_as_it_was() {
        for cell in ["=1+1", "'=1+1", "''-x", "-12.50", "'-12.50", "'", "''", "'a", "+49", "@", "", "a'=b", "\t=1"] {
            let kept = harmless(cell);
            assert!(!is_formula(&kept) || is_number(&kept), "{cell}");
            assert_eq!(as_written(&kept), cell);
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        let row = ["=1+1", "+49 30", "-1-1", "@SUM(A1)", "\t=1", "-12.50", "a=b", r#"{"a":"=1"}"#, ""];
        let text = String::from_utf8(write(Some(&["h"; 9]), [row]).unwrap()).unwrap();
        let expected =
            "h,h,h,h,h,h,h,h,h\n'=1+1,'+49 30,'-1-1,'@SUM(A1),'\t=1,-12.50,a=b,\"{\"\"a\"\":\"\"=1\"\"}\",\n";
        assert_eq!(text, expected);
        assert!(write(Some(&["one"]), [["a", "b"]]).is_err());
    }
}
