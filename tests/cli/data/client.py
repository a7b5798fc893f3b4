"""Writes objects into a bucket by Amazon's own client, or reads them all back."""
import sys

import boto3

act, endpoint = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1",
                  aws_access_key_id="key", aws_secret_access_key="secret")
if act == "write":
    s3.create_bucket(Bucket="jobs")
    s3.put_object(Bucket="jobs", Key="a/small", Body=b"hello")
    s3.put_object(Bucket="jobs", Key="b", Body="ümlaut".encode())
    # In parts, as everything large is.
    parts, upload = [], s3.create_multipart_upload(Bucket="jobs", Key="a/large")["UploadId"]
    for number, size in [(1, 5 * 1024 * 1024), (2, 6_000_000 - 5 * 1024 * 1024)]:
        part = s3.upload_part(Bucket="jobs", Key="a/large", UploadId=upload, PartNumber=number, Body=b"x" * size)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(Bucket="jobs", Key="a/large", UploadId=upload, MultipartUpload={"Parts": parts})
    print(f"wrote {s3.list_objects_v2(Bucket='jobs')['KeyCount']} objects")
else:
    for found in s3.list_objects_v2(Bucket="jobs")["Contents"]:
        body = s3.get_object(Bucket="jobs", Key=found["Key"])["Body"].read()
        print(found["Key"], len(body) if len(body) > 100 else body.decode())
