"""HDFS's messages, by its Java client in Spark and by the Python clients hdfs and hdfs-native."""

from __future__ import annotations

from sparktrain.known_messages.known_message import KnownMessage

NO_HOST_IN_URI = KnownMessage(
    r"Incomplete HDFS URI, no host: [^\s,]+",
    "java.io.IOException: Incomplete HDFS URI, no host: hdfs:///models",
    "Hadoop 3.5.0",
    "Spark has no configuration of the HDFS that a path without a host is on.",
)
HOST_UNKNOWN = KnownMessage(
    r"\Ajava\.net\.UnknownHostException: [^\s,]+",  # where executors can't find a host, the text is longer
    "java.net.UnknownHostException: nameservice1",
    "Hadoop 3.5.0",
    "Spark has no configuration of the name service that a path is on.",
)
FILE_STATUS = KnownMessage(
    r"FileStatus\{path=(.+?); isDirectory=false; length=(\d+); replication=\d+; blocksize=\d+; modification_time=(\d+);",
    "HdfsLocatedFileStatus{path=hdfs://localhost:8020/rows/part-0.parquet; isDirectory=false; length=4711; replication=1; "
    "blocksize=134217728; modification_time=1764000000000; access_time=1764000000000; owner=eve; group=supergroup; "
    "permission=rw-r--r--; isSymlink=false; hasAcl=false; isEncrypted=false; isErasureCoded=false}",
    "Hadoop 3.5.0",
    "The text of a file's status: (path, bytes, milliseconds since 1970).",
)
NO_DATANODE = KnownMessage(
    r"Failed to find datanode",
    "Failed to find datanode, suggest to check cluster health. excludeDatanodes=null",
    "Hadoop 3.5.0",
    "No DataNode has registered yet.",
)
NO_BLOCK = KnownMessage(
    r"Block could not be located",
    "Block could not be located. Path=/models/model.keras, offset=0",
    "Hadoop 3.5.0",
    "No DataNode has reported the block yet.",
)
NOT_REPLICATED = KnownMessage(
    r"could only be written to 0 of",
    "File /models/model.keras could only be written to 0 of the 1 minReplication nodes. There are 0 datanode(s) running and 0 "
    "node(s) are excluded in this operation.",
    "Hadoop 3.5.0",
    "No DataNode takes the block.",
)
NAME_NODE_UNREACHABLE = KnownMessage(
    r"Failed on local exception",
    "DestHost:destPort localhost:8020 , LocalHost:localPort node-1/192.0.2.7:0. Failed on local exception: java.io.IOException: "
    "Connection reset by peer",
    "Hadoop 3.5.0",
    "A DataNode has lost its name node.",
)
IS_A_FOLDER = KnownMessage(
    r"Path is not a file", "Path is not a file: /models", "Hadoop 3.5.0", "A folder is where a file is needed."
)
PARENT_IS_A_FILE = KnownMessage(
    r"\(is not a directory\)",
    "/models/model.keras (is not a directory)",
    "Hadoop 3.5.0",
    "A part of the path is a file; the name node calls it an AccessControlException.",
)
RENAME_OF_TWO_KINDS = KnownMessage(
    r"must both be directories",
    "Source /models/.part and destination /models/run must both be directories",
    "Hadoop 3.5.0",
    "A folder is where a file is needed.",
)
NOT_A_FOLDER = KnownMessage(
    r"not a directory(?!\))", "'/models/model.keras' is not a directory.", "hdfs 2.7.3", "A file is where a folder is needed."
)
NOT_AUTHENTICATED = KnownMessage(
    r"\AAuthentication failure",
    "Authentication failure. Check your credentials.",
    "hdfs 2.7.3",
    "The HDFS asks for a ticket or a token, and none came.",
)
NO_TICKET = KnownMessage(
    r'\AGSSAPIError(?:.*inaccessible: (.*?)(?:"\))?\Z)?',
    'GSSAPIError("Credentials cache is inaccessible: No Kerberos credentials available (default cache: FILE:/tmp/krb5cc_0)")',
    "hdfs-native 0.14.7",
    "hdfs-native has no valid ticket: (why).",
)
NO_MECHANISM = KnownMessage(
    r"\ANoSASLMechanism", "NoSASLMechanism", "hdfs-native 0.14.7", "hdfs-native has neither a ticket nor a token."
)
RPC_ERROR = KnownMessage(
    r'\ARPCError\("(?:[\w$]+\.)*([\w$]+)", "((?:[^"\\]|\\.)*)',
    'RPCError("org.apache.hadoop.ipc.StandbyException", "Operation category READ is not supported in state standby.")',
    "hdfs-native 0.14.7",
    "A name node has refused a request: (its Java exception, that one's message).",
)
