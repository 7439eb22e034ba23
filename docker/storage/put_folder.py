"""Puts a folder's files into object storage: put_folder.py FOLDER s3://BUCKET/PREFIX [--include GLOB] [--only NAME]

What lay under the prefix before is removed. Address and credentials come from AWS_ENDPOINT_URL and the other AWS_*.
"""

import argparse
import concurrent.futures
import fnmatch
import pathlib
import sys

from botocore.session import get_session


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("url")
    parser.add_argument("--include", action="append", metavar="GLOB", help="only files with such a name")
    parser.add_argument("--only", action="append", metavar="NAME", help="only these sub-folders of FOLDER")
    return parser.parse_args()


def files_of(folder, globs, only):
    for top in [folder / name for name in only] if only else [folder]:
        for path in sorted(top.rglob("*")):
            wanted = not globs or any(fnmatch.fnmatch(path.name, glob) for glob in globs)
            if wanted and path.is_file() and not path.is_symlink():
                yield path


def main():
    args = arguments()
    bucket, _, prefix = args.url.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    client = get_session().create_client("s3", region_name="us-east-1")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
        for found in page.get("Contents", []):
            client.delete_object(Bucket=bucket, Key=found["Key"])

    def put(path):
        body = path.read_bytes()
        client.put_object(Bucket=bucket, Key=f"{prefix}/{path.relative_to(args.folder)}", Body=body)
        return len(body)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(put, files_of(args.folder, args.include, args.only)))
    print(f"{len(sizes)} files, {sum(sizes)} bytes, at {args.url}")
    return 0 if sizes else 1


sys.exit(main())
