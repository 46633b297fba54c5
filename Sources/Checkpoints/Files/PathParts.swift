/// A path cut before its last name, by its text alone.
///
/// Not `NSString.deletingLastPathComponent`: on Linux it ends the program for a path of one character.
package struct PathParts {
    /// The folder; empty for a bare name.
    package let folder: String
    /// The last name, without slashes behind it; "/" for the root.
    package let name: String

    /// Cuts a path.
    package init(_ path: String) {
        let (text, slash) = (path.utf8, UInt8(ascii: "/"))
        guard let last = text.lastIndex(where: { $0 != slash }) else {
            let root = path.isEmpty ? "" : "/"
            (folder, name) = (root, root)
            return
        }
        let start = text[...last].lastIndex(of: slash).map(text.index(after:)) ?? text.startIndex
        name = String(Substring(text[start...last]))
        if let end = text[..<start].lastIndex(where: { $0 != slash }) {
            folder = String(Substring(text[...end]))
        } else {
            folder = start == text.startIndex ? "" : "/"
        }
    }
}
