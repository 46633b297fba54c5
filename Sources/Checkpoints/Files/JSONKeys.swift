public import Foundation

/// The order of keys in a JSON text, which decoders forget.
public enum JSONKeys {
    /// The keys of the object that a member of the outermost object is, in their order and as often as they stand there;
    /// none if there is no such object.
    public static func keys(of member: String, in data: Data) -> [String] {
        var keys: [String] = []
        data.withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            try? scanner.object { (scanner, key) throws(JSONScanner.Failure) in
                guard key == member else { return try scanner.skipValue() }
                try scanner.object { (scanner, key) throws(JSONScanner.Failure) in
                    keys.append(key)
                    try scanner.skipValue()
                }
            }
        }
        return keys
    }
}
