import Synchronization

/// Memory that encoding uses again and again; it belongs to one call at a time.
struct EncodingScratch: Sendable {
    var pieces: [PieceRange] = []
    var nextPieces: [PieceRange] = []
    var symbols: [TokenID] = []
    /// Per symbol, the merge with its right neighbour.
    var merges: [UInt64] = []
    /// Symbols of long words are linked instead of moved.
    var previous: [Int32] = []
    var next: [Int32] = []
    var heap: [UInt64] = []
    /// The best ways to the positions of a text, for `Unigram`.
    var nodes: [Unigram.Node] = []
    var words = WordCache()
}

/// Scratch memory between calls. Each call takes one and gives it back, so that threads never wait for each other.
final class ScratchPool: Sendable {
    private let idle = Mutex<[EncodingScratch]>([])
    private static let limit = 64

    func take() -> EncodingScratch { idle.withLock { $0.popLast() } ?? EncodingScratch() }

    func giveBack(_ scratch: consuming EncodingScratch) {
        let scratch = scratch
        idle.withLock { if $0.count < Self.limit { $0.append(scratch) } }
    }
}
