//! Giving back memory that only the start needed. It must not touch what the program could not read again from its file.

use std::fs;

/// Lets go of the pages of this program's code that are mapped; those that are still needed come back from the page cache, one by
/// one. Most of what a start runs (making schemas, keys, first objects) never runs again.
pub(super) fn let_go_of_code() {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else { return };
    let Ok(program) = fs::read_link("/proc/self/exe") else { return };
    for line in maps.lines().filter(|line| line.ends_with(&*program.to_string_lossy())) {
        let mut fields = line.split_whitespace();
        let (Some(range), Some("r-xp")) = (fields.next(), fields.next()) else { continue };
        let Some((from, to)) = range.split_once('-') else { continue };
        let (Ok(from), Ok(to)) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16)) else { continue };
        // SAFETY: the range is this program's code, mapped privately from its file and never written, as its rights say; what is
        // let go of is read again from the same file when it is run next.
        let done = unsafe { libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_DONTNEED) };
        if done != 0 {
            tracing::debug!(error = %std::io::Error::last_os_error(), "code stays in memory");
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_program_goes_on() {
        super::let_go_of_code();
        assert_eq!((1..=10).map(|number| format!("{number}")).collect::<String>().len(), 11);
    }
}
