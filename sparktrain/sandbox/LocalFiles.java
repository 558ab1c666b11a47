package sparktrain.sandbox;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.DelegateToFileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;

/**
 * Hadoop's local file system, except that it sets most permissions by Java's own methods. Hadoop uses its native library for
 * that, which its jars don't include, or else starts a chmod for each of the thousands of files that a NodeManager unpacks.
 */
public class LocalFiles extends DelegateToFileSystem {
    public LocalFiles(URI uri, Configuration settings) throws IOException, URISyntaxException {
        super(uri, new Raw(), settings, "file", false);
    }

    private static class Raw extends RawLocalFileSystem {
        public void setPermission(Path path, FsPermission permission) throws IOException {
            int mode = permission.toShort(), owner = mode >> 6 & 7, others = mode & 7;
            File file = pathToFile(path);
            // java.io.File has permissions of the owner and of all others, but no group; java.nio's Files can't be compiled
            // by Janino.
            if (mode >> 9 != 0 || (mode >> 3 & 7) != others
                || !file.setReadable((others & 4) != 0, false) || !file.setReadable((owner & 4) != 0, true)
                || !file.setWritable((others & 2) != 0, false) || !file.setWritable((owner & 2) != 0, true)
                || !file.setExecutable((others & 1) != 0, false) || !file.setExecutable((owner & 1) != 0, true)) {
                super.setPermission(path, permission);
            }
        }
    }
}
