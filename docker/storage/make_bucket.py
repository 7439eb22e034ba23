"""Makes the bucket that BUCKET names, when the storage starts."""

import os

from botocore.session import get_session

get_session().create_client("s3", region_name="us-east-1").create_bucket(Bucket=os.environ["BUCKET"])
