import Foundation

/// The normalisation rules that SentencePiece compiles into a model: a double-array trie from byte strings to places in
/// a block of replacements.
///
/// Rules apply as in the tokenizers library: to a whole user-perceived character of up to five bytes, and otherwise to
/// its code points one by one; of several rules the one for the shortest beginning counts.
struct PrecompiledMap: Sendable {
    private let units: [UInt32]
    /// Replacements, each ended by a zero byte.
    private let replacements: [UInt8]
    /// Which ASCII bytes no rule starts with.
    private let plainASCII: [Bool]

    init(_ fields: JSONFields) throws(TokenizationError) {
        let key = "precompiled_charsmap"
        guard let data = Data(base64Encoded: try fields.string(key)), data.count >= 4 else {
            throw .malformed(place: "\(fields.place).\(key)", found: "no base64 text", expected: "a compiled map")
        }
        let bytes = [UInt8](data)
        func word(_ at: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) } }
        let size = Int(word(0))
        guard size % 4 == 0, size >= 4, size <= bytes.count - 4,
            String(validating: bytes[(4 + size)...], as: UTF8.self) != nil
        else {
            throw .malformed(
                place: "\(fields.place).\(key)", found: "a trie of \(size) bytes in a map of \(bytes.count)",
                expected: "a trie followed by valid UTF-8")
        }
        units = (0..<size / 4).map { word(4 + 4 * $0) }
        replacements = Array(bytes[(4 + size)...])
        let (units, count) = (units, replacements.count)
        plainASCII = (0..<0x80).map { (byte: UInt8) in
            Self.firstMatch(CollectionOfOne(byte), units).map { $0 >= count } ?? true
        }
    }

    /// The rewritten text; `nil` if it stays as it is.
    func apply(to text: PlacedText, keepsOrigin: Bool) -> MappedText? {
        var mapped = MappedText(keepsOrigin: keepsOrigin)
        var (copied, at, changes) = (0, 0, false)
        let bytes = text.bytes
        func rewrite(_ range: Range<Int>) -> Bool {
            guard let content = replacement(for: bytes[range]) else { return false }
            changes = true
            mapped.copy(copied..<range.lowerBound, of: text)
            mapped.append(content, from: text.origin.original(range))
            copied = range.upperBound
            return true
        }
        while at < bytes.count {
            // A plain ASCII character before another ASCII character stands alone.
            if bytes[at] < 0x80, at + 1 == bytes.count || bytes[at + 1] < 0x80, bytes[at] != 0x0D {
                if !plainASCII[Int(bytes[at])] { _ = rewrite(at..<at + 1) }
                at += 1
                continue
            }
            for cluster in Clusters(bytes, from: at) {
                at = cluster.upperBound
                if cluster.count < 6, rewrite(cluster) { continue }
                let characters = PieceText(bytes)
                var position = cluster.lowerBound
                while position < cluster.upperBound {
                    let end = characters.scalar(position).end
                    _ = rewrite(position..<end)
                    position = end
                }
            }
        }
        if !changes { return nil }
        mapped.copy(copied..<bytes.count, of: text)
        return mapped
    }

    private func replacement(for key: some Collection<UInt8>) -> ArraySlice<UInt8>? {
        // A place inside a character would make text that is no UTF-8.
        guard let start = Self.firstMatch(key, units), start < replacements.count,
            replacements[start] & 0xC0 != 0x80
        else { return nil }
        let end = replacements[start...].firstIndex(of: 0) ?? replacements.count
        return replacements[start..<end]
    }

    /// The value of the shortest beginning of `key` that is in the trie.
    private static func firstMatch(_ key: some Collection<UInt8>, _ units: [UInt32]) -> Int? {
        func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int(unit & (1 << 9) >> 6) }
        var node = offset(units[0])
        for byte in key {
            guard byte != 0 else { return nil }
            node ^= Int(byte)
            guard node < units.count else { return nil }
            let unit = units[node]
            guard unit & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
            node ^= offset(unit)
            guard node < units.count else { return nil }
            if unit >> 8 & 1 == 1 { return Int(units[node] & (1 << 31 - 1)) }
        }
        return nil
    }
}

/// The user-perceived characters of a stretch of text that runs up to the next pair of ASCII characters.
private struct Clusters: Sequence, IteratorProtocol {
    private var characters: String.Iterator
    private var position: Int

    init(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) {
        var end = start + 1
        while end < bytes.count, !(bytes[end - 1] < 0x80 && bytes[end] < 0x80 && bytes[end - 1] != 0x0D) { end += 1 }
        // The last ASCII character before another one may stand alone, but never belongs to what follows.
        characters = String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<end]), as: UTF8.self).makeIterator()
        position = start
    }

    mutating func next() -> Range<Int>? {
        guard let character = characters.next() else { return nil }
        defer { position += character.utf8.count }
        return position..<position + character.utf8.count
    }
}
