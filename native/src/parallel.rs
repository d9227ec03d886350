//! The pool that kernels run on, and the instruction set they are compiled for at run time. Work is cut into
//! pieces by size alone and partial sums are added in the order of the pieces, so that results depend on
//! the number of threads only inside a matrix product.

use std::sync::{Arc, OnceLock, RwLock};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Numbers in one piece of element-wise work: 64 KiB.
pub const PIECE: usize = 1 << 14;

fn slot() -> &'static RwLock<Option<Arc<ThreadPool>>> {
    static POOL: OnceLock<RwLock<Option<Arc<ThreadPool>>>> = OnceLock::new();
    POOL.get_or_init(|| RwLock::new(None))
}

/// Replaces the pool by one of `threads` threads; 0 means one for each core.
pub fn set_threads(threads: usize) -> Result<usize, String> {
    let present = slot().read().map_err(|error| error.to_string())?.clone();
    // a run says it again whenever a task starts or ends
    if present.is_some_and(|pool| pool.current_num_threads() == threads) {
        return Ok(threads);
    }
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| error.to_string())?;
    let count = pool.current_num_threads();
    *slot().write().map_err(|error| error.to_string())? = Some(Arc::new(pool));
    Ok(count)
}

/// Runs `work` on the pool where it is big enough to be worth waking threads, else here.
pub fn run<R: Send>(is_big: bool, work: impl FnOnce(bool) -> R + Send) -> R {
    let pool = if is_big {
        slot().read().ok().and_then(|guard| guard.clone())
    } else {
        None
    };
    match pool {
        Some(pool) if pool.current_num_threads() > 1 => pool.install(|| work(true)),
        _ => work(false),
    }
}

/// The instruction set that kernels are run with: the widest, or a lower one named by SAE_CARRY_SIMD (`avx2`,
/// `scalar`) so that tests can compare them. The `gemm` crate chooses for itself.
fn arch() -> pulp::Arch {
    static ARCH: OnceLock<pulp::Arch> = OnceLock::new();
    *ARCH.get_or_init(|| match std::env::var("SAE_CARRY_SIMD").as_deref() {
        Ok("scalar") => pulp::Arch::Scalar,
        #[cfg(target_arch = "x86_64")]
        Ok("avx2") => pulp::x86::V3::try_new().map_or(pulp::Arch::Scalar, pulp::Arch::V3),
        _ => pulp::Arch::new(),
    })
}

/// Its name.
pub fn instruction_set() -> &'static str {
    match arch() {
        pulp::Arch::Scalar => "scalar",
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V3(_) => "avx2",
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V4(_) => "avx512",
        #[cfg(target_arch = "aarch64")]
        pulp::Arch::Neon(_) => "neon",
        _ => "other",
    }
}

/// Runs `work` with the vectors of that instruction set.
pub fn dispatch<W: pulp::WithSimd>(work: W) -> W::Output {
    arch().dispatch(work)
}

/// Runs `body` compiled for the widest vectors this processor has. It and what it calls must be
/// `inline(always)`: what isn't may be compiled apart, for the narrowest vectors.
#[inline(always)]
pub fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    struct Body<F>(F);
    impl<R, F: FnOnce() -> R> pulp::WithSimd for Body<F> {
        type Output = R;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, simd: S) -> R {
            simd.vectorize(Call(self.0))
        }
    }
    struct Call<F>(F);
    impl<R, F: FnOnce() -> R> pulp::NullaryFnOnce for Call<F> {
        type Output = R;
        #[inline(always)]
        fn call(self) -> R {
            (self.0)()
        }
    }
    arch().dispatch(Body(body))
}

/// The same for work that is too long to be inlined as a closure: a closure that is left a function of its own is
/// compiled for the least of processors. Its `call` must be `inline(always)`.
#[inline(always)]
pub fn vectorised_task<T: pulp::NullaryFnOnce>(task: T) -> T::Output {
    struct Body<T>(T);
    impl<T: pulp::NullaryFnOnce> pulp::WithSimd for Body<T> {
        type Output = T::Output;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, simd: S) -> T::Output {
            simd.vectorize(self.0)
        }
    }
    arch().dispatch(Body(task))
}

/// Calls `body(index, piece)` for every piece of `length` numbers of `data`, on the pool where there are many.
pub fn for_pieces(data: &mut [f32], length: usize, body: impl Fn(usize, &mut [f32]) + Sync) {
    for_pieces_of(data.len(), data, length, body);
}

/// The same where the work isn't one number read for each that is written: `work` numbers in all.
pub fn for_pieces_of(
    work: usize,
    data: &mut [f32],
    length: usize,
    body: impl Fn(usize, &mut [f32]) + Sync,
) {
    use rayon::prelude::*;
    if data.is_empty() {
        return;
    }
    run(work > 2 * PIECE, |parallel| {
        if parallel {
            data.par_chunks_mut(length)
                .enumerate()
                .for_each(|(i, piece)| body(i, piece));
        } else {
            for (i, piece) in data.chunks_mut(length).enumerate() {
                body(i, piece);
            }
        }
    });
}
