"""The folders of workers on the executors' local disks."""
