/// The Unicode normal forms; the names are those of tokenizer.json.
enum NormalForm: String, Sendable {
    case composed = "NFC"
    case decomposed = "NFD"
    case compatibilityComposed = "NFKC"
    case compatibilityDecomposed = "NFKD"

    private var composes: Bool { self == .composed || self == .compatibilityComposed }
    private var byCompatibility: Bool { self == .compatibilityComposed || self == .compatibilityDecomposed }

    /// The text in its normal form; `nil` if it is that already.
    ///
    /// Works segment by segment: a segment starts with a character that no normal form joins to the one before. One
    /// that changes stands for all of its original bytes.
    func apply(to text: PlacedText, keepsOrigin: Bool) -> MappedText? {
        let (bytes, data) = (text.bytes, NormalizationData.shared)
        let limit: UInt8 = self == .composed ? 0xCC : 0x80  // NFC changes nothing below U+0300, no form ASCII.
        if bytes.allSatisfy({ $0 < limit }) { return nil }
        let characters = PieceText(bytes)
        if leavesAlone(characters, data) { return nil }
        var mapped = MappedText(keepsOrigin: keepsOrigin, capacity: bytes.count + 16)
        var (copied, start) = (0, 0)
        var segment: [UInt32] = []
        while start < bytes.count {
            if bytes[start] < 0x80, start + 1 == bytes.count || bytes[start + 1] < 0x80 {
                start += 1
                continue
            }
            segment.removeAll(keepingCapacity: true)
            var at = start
            repeat {
                let (value, end) = characters.scalar(at)
                segment.append(value)
                at = end
            } while at < bytes.count && data[characters.scalar(at).value].contains(.continues)
            let mayChange = segment.count > 1 || isRestless(segment[0], data)
            if mayChange, case let changed = normalize(segment, data), changed != segment {
                mapped.copy(copied..<start, of: text)
                var content: [UInt8] = []
                for value in changed { content.appendUTF8(value) }
                mapped.append(content, from: text.origin.original(start..<at))
                copied = at
            }
            start = at
        }
        mapped.copy(copied..<bytes.count, of: text)
        return mapped
    }

    /// Whether no character can change, by a look at each.
    private func leavesAlone(_ text: PieceText, _ data: NormalizationData) -> Bool {
        var at = 0
        while at < text.bytes.count {
            let (value, end) = text.scalar(at)
            if isRestless(value, data) || data[value].contains(.continues) { return false }
            at = end
        }
        return true
    }

    /// Whether a character may change although nothing stands around it.
    @inline(__always)
    private func isRestless(_ value: UInt32, _ data: NormalizationData) -> Bool {
        var restless: NormalizationData.Flags = composes ? .isNotComposed : .decomposes
        if byCompatibility { restless.insert(.decomposesByCompatibility) }
        return !data[value].isDisjoint(with: restless) || (!composes && 0xAC00...0xD7A3 ~= value)
    }

    func normalize(_ values: [UInt32], _ data: NormalizationData) -> [UInt32] {
        var parts: [UInt32] = []
        for value in values { data.appendDecomposition(of: value, byCompatibility: byCompatibility, to: &parts) }
        Self.order(&parts, data)
        return composes ? Self.compose(parts, data) : parts
    }

    /// Sorts every run of combining marks by class; marks of one class keep their order.
    private static func order(_ parts: inout [UInt32], _ data: NormalizationData) {
        var start = 0
        while start < parts.count {
            var end = start
            while end < parts.count, data.combiningClass(parts[end]) != 0 { end += 1 }
            if end - start > 1 {
                let run = parts[start..<end].map { (value: $0, order: data.combiningClass($0)) }
                // Swift's sort is stable.
                parts.replaceSubrange(start..<end, with: run.sorted { $0.order < $1.order }.map(\.value))
            }
            start = end + 1
        }
    }

    /// Joins each character to the last starter before it, unless something between them blocks it.
    private static func compose(_ parts: [UInt32], _ data: NormalizationData) -> [UInt32] {
        var output: [UInt32] = []
        var starter: Int?
        var lastClass: UInt8 = 0
        for value in parts {
            let combiningClass = data.combiningClass(value)
            if let at = starter, at == output.count - 1 || (lastClass != 0 && lastClass < combiningClass),
                let joined = data.composite(output[at], value)
            {
                output[at] = joined
                continue
            }
            if combiningClass == 0 { starter = output.count }
            lastClass = combiningClass
            output.append(value)
        }
        return output
    }
}
