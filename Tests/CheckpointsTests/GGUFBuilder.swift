/// Builds the bytes of GGUF files, right or wrong ones.
struct GGUFBuilder {
    var version: UInt32 = 3
    var alignment = 32
    /// Overrides for counts that lie.
    var tensorCount: UInt64?
    var keyCount: UInt64?
    private var entries: [UInt8] = []
    private var entryCount = 0
    private var infos: [UInt8] = []
    private var infoCount = 0
    var data: [UInt8] = []

    static func string(_ text: String) -> [UInt8] { little(UInt64(text.utf8.count)) + text.utf8 }

    /// Adds a metadata entry of type `type` whose value is `bytes`.
    mutating func add(_ key: String, type: UInt32, _ bytes: [UInt8]) {
        entries += Self.string(key) + little(type) + bytes
        entryCount += 1
    }

    /// Adds a tensor description; `dimensions` are innermost first.
    mutating func addTensor(_ name: String, _ dimensions: [UInt64], type: UInt32, offset: UInt64) {
        infos += Self.string(name) + little(UInt32(dimensions.count))
        for dimension in dimensions { infos += little(dimension) }
        infos += little(type) + little(offset)
        infoCount += 1
    }

    var bytes: [UInt8] {
        var bytes = Array("GGUF".utf8) + little(version)
        bytes += little(tensorCount ?? UInt64(infoCount)) + little(keyCount ?? UInt64(entryCount)) + entries + infos
        bytes += [UInt8](repeating: 0, count: (alignment - bytes.count % alignment) % alignment)
        return bytes + data
    }
}
