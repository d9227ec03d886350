//! Huge pages under large new arrays, on Linux: writing memory for the first time costs a fault for each page.

/// Asks for huge pages under a large array that has not been written yet; where it has, nothing happens.
#[cfg(target_os = "linux")]
pub fn advise_huge(out: &mut [f32]) {
    const HUGE: usize = 1 << 21;
    let range = out.as_mut_ptr_range();
    let start = (range.start as usize).next_multiple_of(HUGE);
    let end = range.end as usize / HUGE * HUGE;
    if end > start {
        // SAFETY: the pages lie wholly within `out`, and the advice changes no byte of them.
        unsafe { libc::madvise(start as *mut _, end - start, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
pub fn advise_huge(_: &mut [f32]) {}
