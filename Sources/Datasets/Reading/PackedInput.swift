/// The bytes of a file as a decompressor takes them: a piece in memory, refilled when it is used up.
struct PackedInput {
    private static let pieceSize = 1 << 18

    private let file: OpenFile
    private var piece: [UInt8]
    private var used = 0
    private var filled = 0
    /// Where in the file the piece ends.
    private var end = 0

    init(_ file: OpenFile) {
        self.file = file
        piece = [UInt8](repeating: 0, count: min(Self.pieceSize, max(1, file.count)))
    }

    /// Whether everything has been taken.
    var isAtEnd: Bool { used == filled && end >= file.count }

    /// What of the piece has not been taken.
    func withRest<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        piece.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[used..<filled])) }
    }

    mutating func consume(_ count: Int) { used += count }

    /// Reads the next piece if this one is used up and there is one.
    mutating func refill() throws(DamagedFile) {
        guard used == filled, end < file.count else { return }
        let (file, end) = (file, end)
        do throws(OpenFile.Failure) {
            filled = try piece.withUnsafeMutableBytes { bytes in
                Result { () throws(OpenFile.Failure) in try file.read(into: bytes, at: end) }
            }.get()
        } catch {
            throw DamagedFile(reason: error.reason)
        }
        if filled == 0 { throw DamagedFile(reason: "it has become shorter while it is read") }
        self.end += filled
        used = 0
    }

    mutating func skipZeros() throws(DamagedFile) {
        while true {
            while used < filled, piece[used] == 0 { used += 1 }
            if used < filled || end >= file.count { return }
            try refill()
        }
    }
}
