import Checkpoints
import Testing

@Test(arguments: [
    ("x", "", "x"), ("", "", ""), ("/", "/", "/"), ("//", "/", "/"), ("/x", "/", "x"), ("//x", "/", "x"), ("a/b", "a", "b"),
    ("a/b/", "a", "b"), ("a//b", "a", "b"), ("/a/b/c", "/a/b", "c"), ("ä/ö", "ä", "ö"), ("./x", ".", "x"), ("ä", "", "ä"),
])
func pathsAreCutBeforeTheirLastName(path: String, folder: String, name: String) {
    let parts = PathParts(path)
    #expect(parts.folder == folder && parts.name == name)
}
