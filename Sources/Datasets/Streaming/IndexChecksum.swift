/// The checksum of an index, fed as it is written and as it is read, in whatever pieces.
struct IndexChecksum {
    private var state: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ words: [UInt32]) {
        for word in words {
            state = (state ^ UInt64(word)) &* 0x9E37_79B9_7F4A_7C15
            state ^= state >> 32
        }
    }

    var value: UInt32 { UInt32(truncatingIfNeeded: state >> 16) }
}

extension OpenFile {
    /// The checksum of the whole file, read piece by piece.
    func checksum(_ problem: (Failure) -> DatasetProblem) throws(DatasetProblem) -> UInt32 {
        var hash = IndexChecksum()
        for start in stride(from: 0, to: count, by: 1 << 20) {
            do throws(Failure) {
                hash.add(try read(min(1 << 20, count - start) / 4, of: UInt32.self, at: start))
            } catch {
                throw problem(error)
            }
        }
        return hash.value
    }
}
