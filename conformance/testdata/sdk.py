"""Calls the APIs with boto3: the first argument is a name for what is made, the second a service.

Prints a JSON object: what went wrong with each call, or nothing.
"""
import json
import sys

import boto3
from botocore.config import Config

name, arn = sys.argv[1:]
both = Config(auth_scheme_preference="sigv4a", sigv4a_signing_region_set="*")
calls = {
    "iam": lambda: boto3.client("iam").create_user(UserName=name, Tags=[{"Key": "x", "Value": "é +y"}]),
    "sts": lambda: boto3.client("sts").get_caller_identity(),
    "sts-a": lambda: boto3.client("sts", config=both).get_caller_identity(),
    "lattice": lambda: boto3.client("vpc-lattice").create_service(name="s-" + name, tags={"x": "é"}),
    "path-arn": lambda: boto3.client("vpc-lattice").get_service(serviceIdentifier=arn),
    "query-arn": lambda: boto3.client("vpc-lattice").list_service_network_service_associations(serviceIdentifier=arn, maxResults=5),
    "appmesh": lambda: boto3.client("appmesh").create_mesh(meshName=name),
}
wrong = {}
for call, make in calls.items():
    try:
        make()
        wrong[call] = ""
    except Exception as e:
        wrong[call] = repr(e)
print(json.dumps(wrong))
