import CKernels
import Synchronization

/// The instruction sets that our own kernels are compiled for.
public enum InstructionSet: String, Sendable, CaseIterable {
    /// Plain C, for every CPU.
    case portable
    /// AVX2 with FMA.
    case avx2
    /// AVX-512 F, BW, DQ and VL.
    case avx512
    /// AVX-512 with instructions that round to bfloat16 and multiply it (AVX512-BF16).
    case avx512BF16 = "avx512-bf16"
    /// The same with instructions that compute in float16 (AVX512-FP16).
    case avx512FP16 = "avx512-fp16"
    /// The best vectors of this CPU, and products in bfloat16 on AMX tile registers.
    case amx
    /// Tile registers in plain C beside the best vectors of this CPU: slow, to test what `amx` computes without it.
    case emulatedAMX = "amx-emulated"

    /// The best one of this CPU, proven by a product where it has tile registers.
    public static var best: InstructionSet {
        martlet_tiles_state() == Int32(MARTLET_TILES_READY) ? .amx : atLevel(martlet_best_isa())
    }

    /// The one in use. Set it before anything is computed; what the CPU lacks is clipped to ``best``.
    public static var current: InstructionSet {
        get { chosen.withLock { $0 ?? best } }
        set {
            let clipped = newValue == .amx ? best : newValue
            let level = byLevel.firstIndex(of: clipped) ?? Int(martlet_best_isa())
            martlet_select_isa(Int32(level))
            chosen.withLock { $0 = clipped.tiles == nil ? atLevel(martlet_isa()) : clipped }
        }
    }

    /// The precision that suits it: bfloat16 where products in it are faster than those in float32.
    public var precision: Precision { tiles != nil || self == .avx512FP16 ? .bfloat16 : .float32 }

    /// What our own vectors multiply faster than the library, by the set in use; nothing with AVX2, where the two are about even.
    package static var vectors: VectorUnit? {
        switch martlet_isa() {
        case Int32(MARTLET_ISA_AVX512_FP16)...: .float16
        case Int32(MARTLET_ISA_AVX512)...: .float32
        default: nil
        }
    }

    /// What multiplies tiles of bfloat16 with it.
    package var tiles: TileUnit? {
        switch self {
        case .amx: .amx
        case .avx512BF16: martlet_multiplies_bfloat16() != 0 ? .vectors : nil
        case .emulatedAMX: .emulated
        case .portable, .avx2, .avx512, .avx512FP16: nil
        }
    }

    /// Why ``amx`` cannot be used here; nil if it can.
    public static var reasonAgainstAMX: String? {
        switch Int(martlet_tiles_state()) {
        case MARTLET_TILES_READY: nil
        case MARTLET_TILES_NO_CPU: "this CPU has no AMX-BF16"
        case MARTLET_TILES_NO_SYSTEM: "the operating system or the virtual machine does not save tile registers"
        case MARTLET_TILES_NO_PERMISSION: "the operating system refused tile registers to this process"
        case MARTLET_TILES_TRAPPED: "the CPU lists AMX-BF16, but a first product was an illegal instruction"
        default: "a first product on tile registers was wrong"
        }
    }

    private static let chosen = Mutex<InstructionSet?>(nil)

    /// Those without AMX, in the order of the kernels' levels.
    private static let byLevel: [InstructionSet] = [.portable, .avx2, .avx512, .avx512BF16, .avx512FP16]

    private static func atLevel(_ level: Int32) -> InstructionSet {
        byLevel[min(max(Int(level), 0), byLevel.count - 1)]
    }
}
