import CKernels

/// The instruction sets that our own kernels are compiled for.
public enum InstructionSet: String, Sendable, CaseIterable {
    /// Plain C, for every CPU.
    case portable
    /// AVX2 with FMA.
    case avx2
    /// AVX-512 F, BW, DQ and VL.
    case avx512

    /// The best one of this CPU.
    public static var best: InstructionSet { InstructionSet(level: martlet_best_isa()) }

    /// The one in use. Set it before anything is computed; what the CPU lacks is clipped to ``best``.
    public static var current: InstructionSet {
        get { InstructionSet(level: martlet_isa()) }
        set { martlet_select_isa(newValue.level) }
    }

    private init(level: Int32) { self = Self.allCases[Int(min(max(level, 0), 2))] }
    private var level: Int32 { Int32(Self.allCases.firstIndex(of: self) ?? 0) }
}
