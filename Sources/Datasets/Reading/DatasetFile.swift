/// A data file, opened once, so that what was looked at is what is read.
struct DatasetFile: Sendable {
    let path: String
    let container: Container
    /// Whether records can be read from the place where they lie.
    let isPlain: Bool
    let bytes: OpenFile

    init(path: String) throws(DatasetProblem) {
        self.path = path
        do throws(OpenFile.Failure) {
            bytes = try OpenFile(path)
        } catch {
            throw DatasetProblem(error.isDenied ? .denied : .unreadable(reason: error.reason), file: path)
        }
        let window: ByteWindow
        do throws(WindowProblem) {
            window = try Self.open(bytes)
            try window.advance(past: 0)
        } catch {
            throw DatasetProblem(error.kind, file: path)
        }
        if let other = window.withBytes(Self.foreignFormat) {
            throw DatasetProblem(.notText(looksLike: other), file: path)
        }
        container = window.withBytes { Container(path: path, start: $0) }
        isPlain = window.isPlain
    }

    /// A window at the start of the contents, empty until it is moved.
    func window() throws(WindowProblem) -> ByteWindow { try Self.open(bytes) }

    private static func open(_ file: OpenFile) throws(WindowProblem) -> ByteWindow {
        do throws(DamagedFile) {
            return try ByteWindow(file)
        } catch {
            throw .damaged(error.reason)
        }
    }

    /// What a file is by its first bytes, where that is certainly not our kind of text.
    private static func foreignFormat(_ bytes: UnsafeBufferPointer<UInt8>) -> String? {
        let signatures: [(bytes: [UInt8], name: String)] = [
            ([0x50, 0x4B, 3, 4], "a zip file"), (Array("PAR1".utf8), "a Parquet file"),
            (Array("ARROW1".utf8), "an Arrow file"), (Array("BZh".utf8), "a bzip2 file"),
            ([0xFD, 0x37, 0x7A, 0x58, 0x5A], "an xz file"), ([0x1F, 0x8B], "a gzip file in a packed file"),
            ([0xFF, 0xFE], "text in UTF-16"), ([0xFE, 0xFF], "text in UTF-16"),
        ]
        if bytes.count > 262, bytes[257..<262].elementsEqual("ustar".utf8) { return "a tar archive" }
        // Letters without a mark before them.
        let zeros = bytes.prefix(4).map { $0 == 0 }
        if zeros == [false, true, false, true] || zeros == [true, false, true, false] { return "text in UTF-16" }
        return signatures.first { bytes.starts(with: $0.bytes) }?.name
    }
}
