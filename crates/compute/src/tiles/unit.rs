//! The tile unit itself: whether it is there, and its instructions. All unsafe code of this room but
//! the hint of [`crate::matmul::prefetch`].

use super::{BLOCK, SIDE, Tile};
use crate::Write;
use std::{arch::asm, marker::PhantomData, sync::OnceLock};

/// Whether this CPU has the unit and the system lets this process use it.
pub(super) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_unit() && is_permitted())
}

/// CPUID says that there are tiles (with their instructions) of bf16, and that the system saves their state.
fn has_unit() -> bool {
    /// Leaf 1, ECX: XGETBV may be used.
    const OSXSAVE: u32 = 1 << 27;
    /// Leaf 7, EDX: AMX-BF16 and AMX-TILE.
    const TILES: u32 = 1 << 22 | 1 << 24;
    /// XCR0: the configuration and the data of tiles.
    const STATE: u32 = 3 << 17;
    // SAFETY: every x86-64 CPU has CPUID; XGETBV is run where CPUID says that it may be.
    #[allow(unsafe_code, unused_unsafe, reason = "CPUID is a safe function in later versions of Rust")]
    unsafe {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 || __cpuid_count(7, 0).edx & TILES != TILES {
            return false;
        }
        let enabled: u32;
        asm!("xgetbv", in("ecx") 0, out("eax") enabled, out("edx") _, options(nomem, nostack, preserves_flags));
        enabled & STATE == STATE
    }
}

/// Linux gives the state of tiles, 8 KB for each thread, to a process that asks for it.
fn is_permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let answer: i64;
    // SAFETY: this system call takes two numbers and touches no memory of the process; `syscall` overwrites RCX and R11.
    // A kernel that does not know the request answers with an error.
    #[allow(unsafe_code)]
    unsafe {
        asm!(
            "syscall",
            inout("rax") ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

/// What LDTILECFG reads: palette 1, and for each of eight tiles 64 bytes in each of 16 rows.
#[repr(align(64))]
struct Configuration([u8; 64]);

static CONFIGURATION: Configuration = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = BLOCK as u8;
        tile += 1;
    }
    Configuration(bytes)
};

/// The unit of the calling thread, its tiles configured as long as this lives.
pub(super) struct Unit {
    /// The configuration is the thread's.
    thread: PhantomData<*const ()>,
}

impl Unit {
    /// Configures the tiles; `None` where there is no unit.
    pub(super) fn begin() -> Option<Self> {
        if !available() {
            return None;
        }
        // SAFETY: the unit is there and permitted; the 64 bytes are a valid configuration. No code that the compiler
        // makes touches tiles.
        #[allow(unsafe_code)]
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &CONFIGURATION.0, options(readonly, nostack, preserves_flags));
        }
        Some(Unit { thread: PhantomData })
    }

    /// Asks for the cache line of a number that will be written, if there is such a number.
    #[inline(always)]
    pub(super) fn expect(&self, number: Option<&f32>) {
        if let Some(number) = number {
            // SAFETY: a hint that changes nothing, known to every CPU that has the unit.
            #[allow(unsafe_code)]
            unsafe {
                asm!("prefetchw [{}]", in(reg) number, options(readonly, nostack, preserves_flags));
            }
        }
    }

    /// The product of [`SIDE`] rows and [`SIDE`] columns, written to or added to as many rows of `to`, `stride` apart.
    /// `right` holds, for each step, two tiles in `parts` parts each; `left` the same, or two tiles in one part each.
    ///
    /// # Panics
    /// When the lengths disagree.
    pub(super) fn multiply(
        &self,
        parts: usize,
        (left, right): (&[Tile], &[Tile]),
        (to, stride): (&mut [f32], usize),
        write: Write,
    ) {
        let steps = right.len() / (2 * parts);
        assert!(steps > 0 && right.len() == steps * 2 * parts, "whole steps");
        assert!(stride >= SIDE && to.len() >= (SIDE - 1) * stride + SIDE, "room for the result");
        let of = Of { steps, left, right, to, stride, write };
        match (left.len() / (2 * steps), parts) {
            (2, 2) => two_parts(self, of),
            (3, 3) => three_parts(self, of),
            (1, 3) => one_by_three_parts(self, of),
            (left, right) => panic!("no product of {left} and {right} parts"),
        }
    }
}

/// What [`Unit::multiply`] was asked, with as many steps as both factors have.
struct Of<'a> {
    steps: usize,
    left: &'a [Tile],
    right: &'a [Tile],
    to: &'a mut [f32],
    stride: usize,
    write: Write,
}

impl Drop for Unit {
    fn drop(&mut self) {
        // SAFETY: the unit is there and configured. Released tiles need not be saved when threads change.
        #[allow(unsafe_code)]
        unsafe {
            asm!("tilerelease", options(nomem, nostack, preserves_flags));
        }
    }
}

/// Two tiles of a factor into registers, `$at` being their offsets in bytes.
macro_rules! load {
    (left $first:literal $second:literal) => {
        concat!("tileloadd tmm4, [{left} + {row} + ", $first, "]\ntileloadd tmm5, [{left} + {row} + ", $second, "]")
    };
    (right $first:literal $second:literal) => {
        concat!("tileloadd tmm6, [{right} + {row} + ", $first, "]\ntileloadd tmm7, [{right} + {row} + ", $second, "]")
    };
}

/// Adds the products of the tiles in registers to the four of the square.
macro_rules! multiply {
    () => {
        "tdpbf16ps tmm0, tmm4, tmm6
         tdpbf16ps tmm1, tmm4, tmm7
         tdpbf16ps tmm2, tmm5, tmm6
         tdpbf16ps tmm3, tmm5, tmm7"
    };
}

/// A function that does the steps given by its lines; `$left` and `$right` are the bytes of a step of each factor.
macro_rules! products {
    ($name:ident, $left:literal, $right:literal, $($line:expr),* $(,)?) => {
        /// The unit is configured, and [`Unit::multiply`] has checked the room for the result.
        fn $name(_: &Unit, Of { steps, left, right, to, stride, write }: Of<'_>) {
            assert!(size_of_val(left) >= steps * $left && size_of_val(right) >= steps * $right);
            // SAFETY: a `Unit` means that the tiles are configured. The loop reads `steps` steps of each factor, which
            // are as long as was just checked, and reads and writes the four tiles of a square of the result, for which
            // there is room. No tile holds anything that is needed before or after.
            #[allow(unsafe_code)]
            unsafe {
                asm!(
                    "test {add}, {add}",
                    "jz 3f",
                    "tileloadd tmm0, [{to} + {stride}]",
                    "tileloadd tmm1, [{to} + {stride} + 64]",
                    "tileloadd tmm2, [{lower} + {stride}]",
                    "tileloadd tmm3, [{lower} + {stride} + 64]",
                    "jmp 2f",
                    "3:",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    $($line,)*
                    concat!("add {left}, ", $left),
                    concat!("add {right}, ", $right),
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{to} + {stride}], tmm0",
                    "tilestored [{to} + {stride} + 64], tmm1",
                    "tilestored [{lower} + {stride}], tmm2",
                    "tilestored [{lower} + {stride} + 64], tmm3",
                    left = inout(reg) left.as_ptr() => _,
                    right = inout(reg) right.as_ptr() => _,
                    steps = inout(reg) steps => _,
                    add = in(reg) u64::from(write == Write::Add),
                    to = in(reg) to.as_mut_ptr(),
                    lower = in(reg) to.as_mut_ptr().wrapping_add(BLOCK * stride),
                    row = in(reg) 64u64,
                    stride = in(reg) size_of::<f32>() * stride,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

// Parts 2 and 1, 1 and 1, 1 and 2.
products!(
    two_parts,
    4096,
    4096,
    load!(left 1024 3072),
    load!(right 0 2048),
    multiply!(),
    load!(left 0 2048),
    multiply!(),
    load!(right 1024 3072),
    multiply!(),
);

// Parts 1 and 3, 1 and 2, 2 and 2, 2 and 1, 1 and 1, 3 and 1: each load serves as many products as it can.
products!(
    three_parts,
    6144,
    6144,
    load!(left 0 3072),
    load!(right 2048 5120),
    multiply!(),
    load!(right 1024 4096),
    multiply!(),
    load!(left 1024 4096),
    multiply!(),
    load!(right 0 3072),
    multiply!(),
    load!(left 0 3072),
    multiply!(),
    load!(left 2048 5120),
    multiply!(),
);

// Parts 1 and 3, 1 and 2, 1 and 1.
products!(
    one_by_three_parts,
    2048,
    6144,
    load!(left 0 1024),
    load!(right 2048 5120),
    multiply!(),
    load!(right 1024 4096),
    multiply!(),
    load!(right 0 3072),
    multiply!(),
);
