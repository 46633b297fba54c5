extension StoredTensor {
    /// The runs of bytes that hold the numbers.
    var storedBytes: [MappedBytes] {
        switch contents {
        case .rows(_, let bytes, _): [bytes]
        case .fourBit(let matrix): [matrix.codes, matrix.scales.bytes]
        case .microscaled(let matrix): [matrix.codes, matrix.scales]
        case .assembled(let assembly): assembly.parts.flatMap(\.tensor.storedBytes)
        }
    }

    /// Takes the stored bytes, where a file is mapped, out of the process's memory until they are touched again.
    public func release() {
        for bytes in storedBytes { bytes.release() }
    }
}
