public import Foundation

/// What a clone without git-lfs has in the place of a large file: a short text that says where the file is.
public enum GitPointer {
    private static let start = "version https://git-lfs"

    /// What to say of a pointer, after the path of the file.
    public static let sentence = "this is a git-lfs pointer, not the file itself; run `git lfs pull` in its folder"

    /// Whether these bytes are a pointer.
    public static func isOne(_ bytes: Data) -> Bool { bytes.starts(with: start.utf8) }

    static func isOne(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.starts(with: start.utf8) }
}
