/// Everything that stands before the data of a GGUF file, read and checked.
struct GGUFContents {
    var version: UInt32 = 0
    /// Keys in the file's order.
    var keys: [String] = []
    var metadata: [String: GGUFValue] = [:]
    /// Tensors in the file's order.
    var tensors: [GGUFTensorRecord] = []
    /// Every tensor's data begin at a multiple of this.
    var alignment = 32
    /// Where the data begin; at most the file's size.
    var dataStart = 0

    /// Reads the front of `file` and checks that every tensor lies within it and that none overlap.
    init(_ file: UnsafeRawBufferPointer) throws(GGUFProblem) {
        var cursor = GGUFCursor(file)
        if GitPointer.isOne(file) { throw .gitPointer }
        guard file.prefix(4).elementsEqual("GGUF".utf8) else { throw .notGGUF }
        _ = try cursor.take(4, "the magic number")
        version = try cursor.integer("the version")
        guard version == 2 || version == 3 else {
            let swapped = version.byteSwapped
            throw swapped == 2 || swapped == 3 ? .bigEndian : .unsupportedVersion(version)
        }
        // The smallest tensor description has an empty name, no dimension, type and offset: 24 bytes.
        let tensorCount = try cursor.count(bytesEach: 24, "the number of tensors")
        // The smallest entry has an empty key, its type and one byte: 13 bytes.
        let keyCount = try cursor.count(bytesEach: 13, "the number of metadata entries")
        for index in 0..<keyCount { try readEntry(&cursor, index: index) }
        try readAlignment()
        for index in 0..<tensorCount { tensors.append(try GGUFTensorRecord(&cursor, index: index)) }
        dataStart = min((cursor.offset + alignment - 1) / alignment * alignment, file.count)
        try checkTensors(available: file.count - dataStart)
    }

    private mutating func readEntry(_ cursor: inout GGUFCursor, index: Int) throws(GGUFProblem) {
        let key = try cursor.string("the key of metadata entry \(index)")
        let type: UInt32 = try cursor.integer("the type of \(key)")
        let value = try cursor.value(type: type, key: key)
        guard metadata.updateValue(value, forKey: key) == nil else { throw .duplicateKey(key) }
        keys.append(key)
    }

    private mutating func readAlignment() throws(GGUFProblem) {
        guard let value = metadata["general.alignment"] else { return }
        guard let number = value.integer else {
            throw .wrongType(key: "general.alignment", expected: "an integer", found: value.typeName)
        }
        guard number > 0, number <= 1 << 20, number.nonzeroBitCount == 1 else {
            throw .badAlignment(UInt64(clamping: number))
        }
        alignment = number
    }

    private func checkTensors(available: Int) throws(GGUFProblem) {
        var names: Set<String> = []
        for tensor in tensors {
            guard names.insert(tensor.name).inserted else { throw .duplicateTensor(tensor.name) }
            guard tensor.offset % UInt64(alignment) == 0 else {
                throw .misaligned(tensor: tensor.name, offset: tensor.offset, alignment: alignment)
            }
            let byteCount = tensor.byteCount ?? 0
            guard byteCount <= available, tensor.offset <= UInt64(available - byteCount) else {
                throw .dataBeyondFile(
                    tensor: tensor.name, offset: tensor.offset, byteCount: byteCount, available: available)
            }
        }
        let ordered = tensors.filter { ($0.byteCount ?? 0) > 0 }.sorted { $0.offset < $1.offset }
        for (first, second) in zip(ordered, ordered.dropFirst())
        where first.offset + UInt64(first.byteCount ?? 0) > second.offset {
            throw .overlap(first: first.name, second: second.name)
        }
    }
}
