//! Tables for spreadsheets: the one place where CSV is written.

use std::borrow::Cow;

use csv::Writer;

use crate::error::{Error, Result};

/// Rows with a heading as CSV (RFC 4180). A cell that a spreadsheet would take for a formula is made a text with an apostrophe
/// before it, unless it is a number; a JSON document never begins like one.
///
/// # Errors
/// When a row has not as many cells as the heading, which would be a defect.
pub fn write<R>(heading: &[&str], rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>>
where
    R: IntoIterator<Item: AsRef<str>>,
{
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_record(heading).map_err(Error::internal)?;
    for row in rows {
        for cell in row {
            writer.write_field(harmless(cell.as_ref()).as_bytes()).map_err(Error::internal)?;
        }
        writer.write_record(None::<&[u8]>).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(Error::internal)
}

fn harmless(cell: &str) -> Cow<'_, str> {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) && !is_number(cell) {
        true => format!("'{cell}").into(),
        false => cell.into(),
    }
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
    fn no_cell_is_a_formula() {
        let row = ["=1+1", "+49 30", "-1-1", "@SUM(A1)", "\t=1", "-12.50", "a=b", r#"{"a":"=1"}"#, ""];
        let text = String::from_utf8(write(&["h"; 9], [row]).unwrap()).unwrap();
        let expected =
            "h,h,h,h,h,h,h,h,h\n'=1+1,'+49 30,'-1-1,'@SUM(A1),'\t=1,-12.50,a=b,\"{\"\"a\"\":\"\"=1\"\"}\",\n";
        assert_eq!(text, expected);
        assert!(write(&["one"], [["a", "b"]]).is_err());
    }
}
